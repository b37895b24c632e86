"""Holds the card's features as vectors over the D columns that a graph takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import Bend, Feature, Layout, NumericFeature
from chainzrule.service.artifact.noise import NoiseModel
from chainzrule.service.stability.noise import Noise, noise_of
from chainzrule.service.stability.ranges import outside
from chainzrule.training.data.bends import Bends, bend_of, best_bend
from chainzrule.training.data.noise import NOISE_SHARE, SPACING_SHARE
from chainzrule.training.data.weights import moments
from chainzrule.training.errors import ConfigError

Floats = NDArray[np.float64]

FAR = 15.0  # standard deviations from the mean; further out, composed polynomials are dominated by the outlier


@dataclass(frozen=True)
class Columns:
    """Describes every input column: a numeric feature or a pixel has one column, a category has one per level.

    Attributes:
        mean: (D,) raw units; 0 for one-hot columns, which pass through unscaled.
        std: (D,) raw units; 1 for one-hot columns.
        low: (D,) smallest value seen in training.
        high: (D,) largest value seen in training.
        noise: (D,) one standard deviation of measurement noise, raw units; 0 for one-hot columns.
        blocks: the one-hot blocks as column ranges.
        pooled: whether all columns share one mean and so on, as an image's do.
        bends: the scales on which columns are read; None where all of them are straight.
        errors: how that noise is distributed; None where it is independent and normal.
    """

    mean: Floats
    std: Floats
    low: Floats
    high: Floats
    noise: Floats
    blocks: tuple[slice, ...]
    pooled: bool
    bends: Bends | None = None
    errors: Noise | None = None

    @property
    def noise_root(self) -> Floats:
        """Returns F of the covariance F F^T of the straight columns' noise: (D,) where it is diagonal, else (D, m)."""
        straight = self.noise if self.bends is None else self.noise * self.bends.keep
        if self.errors is None or not self.errors.together:
            return straight
        return replace(self.errors, sd=straight).root()

    @property
    def drawn(self) -> Noise:
        """Returns the noise to draw."""
        return Noise(self.noise) if self.errors is None else self.errors

    @property
    def centre(self) -> Floats:
        """Returns (D,) the means that the network's inputs are standardised with, on the scales they are read on."""
        return self.mean if self.bends is None else self.bends.mean

    @property
    def spread(self) -> Floats:
        """Returns (D,) the standard deviations likewise."""
        return self.std if self.bends is None else self.bends.std

    @property
    def width(self) -> int:
        """Returns D, the number of columns."""
        return len(self.mean)

    @classmethod
    def of(cls, features: Sequence[Feature], layout: Layout | None, noise_model: NoiseModel | None = None) -> "Columns":
        """Returns the columns of a card's features; an image's one feature stands for every pixel."""
        repeats = layout.height * layout.width if layout else 1
        facts: list[tuple[float, float, float, float, float]] = []
        blocks, bent = [], {}
        for feature in features:
            if isinstance(feature, NumericFeature):
                if feature.bend is not None:
                    bent[len(facts)] = feature.bend
                facts += [(feature.mean, feature.std, feature.low, feature.high, feature.noise)] * repeats
            else:
                blocks.append(slice(len(facts), len(facts) + len(feature.levels)))
                facts += [(0.0, 1.0, 0.0, 1.0, 0.0)] * len(feature.levels)
        mean, std, low, high, noise = np.array(facts, dtype=np.float64).T
        bends = _bends(bent, mean, std)
        errors = noise_of([feature for feature in features for _ in range(repeats)], noise_model)
        return cls(
            mean,
            std,
            low,
            high,
            noise,
            tuple(blocks),
            pooled=layout is not None,
            bends=bends,
            errors=None if errors.is_plain else errors,
        )

    def of_rows(self, x: NDArray[np.float32], weights: Floats | None = None) -> "Columns":
        """Returns these columns with the statistics of other rows, such as a fold's; the noise stays."""
        axis = None if self.pooled else 0
        values = x.astype(np.float64)
        mean, std, low, high = (
            np.broadcast_to(statistic, self.mean.shape)
            for statistic in (*moments(values, weights, axis), values.min(axis=axis), values.max(axis=axis))
        )
        numeric = np.ones(self.width, np.bool_)
        for block in self.blocks:
            numeric[block] = False
        mean, std = np.where(numeric, mean, 0.0), np.where(numeric & (std > 0), std, self.std)
        bent = {} if self.bends is None else {int(at): values[:, at] for at in self.bends.index}
        return replace(
            self,
            mean=mean,
            std=std,
            low=np.where(numeric, low, 0.0),
            high=np.where(numeric, high, 1.0),
            bends=_bends(
                {at: best_bend(column, weights) for at, column in bent.items() if np.ptp(column) > 0}, mean, std
            ),
        )

    def standardise(self, x: NDArray[np.floating]) -> Floats:
        """Returns (rows, D) features in units of the training rows' standard deviations, with mean 0."""
        values = x.astype(np.float64)
        if self.bends is not None:
            values = self.bends.values(values)
        return np.asarray((values - self.centre) / self.spread)

    def out_of_range(self, x: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Returns (rows,) whether any column lies outside its range in training, compared as the service compares."""
        return np.asarray(outside(x.astype(np.float32, copy=False), self.low, self.high).any(axis=1))


def synthetic_rows(columns: Columns, rows: int, seed: int) -> NDArray[np.float32]:
    """Returns (rows, D) normal draws around every column's mean, within its range; one-hot blocks get random levels."""
    random = np.random.default_rng(seed)
    draws = columns.centre + columns.spread * random.standard_normal((rows, columns.width))
    if columns.bends is not None:  # back from the scale that a column is read on
        bent = columns.bends.index
        draws[:, bent] = columns.bends.start[bent] + np.sinh(draws[:, bent]) / columns.bends.steepness[bent]
    features = np.clip(draws, columns.low, columns.high)
    for block in columns.blocks:
        level = random.integers(block.stop - block.start, size=rows)
        features[:, block] = np.eye(block.stop - block.start)[level]
    # Casting a bound to float32 may round it outside the range.
    low, high = columns.low.astype(np.float32), columns.high.astype(np.float32)
    return np.clip(features.astype(np.float32), low, high)


def _bends(bent: Mapping[int, Bend], mean: Floats, std: Floats) -> Bends | None:
    """Returns the scales of all columns, those of the bent ones by their place; None where there are none."""
    if not bent:
        return None
    keep, start, steepness = np.ones(len(mean)), np.zeros(len(mean)), np.zeros(len(mean))
    mean, std = mean.copy(), std.copy()
    for at, bend in bent.items():
        keep[at], start[at], steepness[at] = 0.0, bend.start, 1.0 / bend.scale
        mean[at], std[at] = bend.mean, bend.std
    return Bends(keep, start, steepness, mean, std)


def with_bends(
    features: Sequence[Feature], x: NDArray[np.floating], weights: Floats | None = None
) -> tuple[Feature, ...]:
    """Returns a table's features with the scales on which those of heavy tails are read.

    The default noise of such a feature is a tenth of its standard deviation on that scale, at its median: a tenth of
    the standard deviation itself would be more than most of its values.

    Args:
        features: as described from the training rows, their noise not yet declared by anybody.
        x: (rows, D) those rows, encoded.
        weights: (rows,) how often each counts; None where all count once.
    """
    found: list[Feature] = []
    at = 0
    for feature in features:
        if isinstance(feature, NumericFeature):
            values = x[:, at].astype(np.float64)
            bend = bend_of(values, weights)
            found.append(feature if bend is None else _bent(feature, bend, float(np.median(values))))
            at += 1
        else:
            found.append(feature)
            at += len(feature.levels)
    return tuple(found)


def _bent(feature: NumericFeature, bend: Bend, middle: float) -> NumericFeature:
    noise = NOISE_SHARE * bend.std * bend.scale * float(np.hypot(1.0, (middle - bend.start) / bend.scale))
    # float32 has to resolve it also at the far end of the tail.
    resolved = float(np.spacing(np.float32(max(abs(feature.low), abs(feature.high))))) / SPACING_SHARE
    return feature.model_copy(update={"bend": bend, "noise": max(min(noise, feature.noise), 1.01 * resolved)})


def with_constraints(features: Sequence[Feature], declared: Mapping[str, str], labels: int) -> tuple[Feature, ...]:
    """Returns the features with the monotone effects that the user declares.

    Args:
        features: the card's, of a table.
        declared: `increasing` or `decreasing` by feature.
        labels: how many labels a classification has; 0 for other tasks.

    Raises:
        ConfigError: a name that is no numeric feature, or a task without one thing to rise or fall.
    """
    numeric = {feature.name for feature in features if isinstance(feature, NumericFeature)}
    for name in declared:
        if name not in numeric:
            known = ", ".join(sorted(numeric)) or "none"
            raise ConfigError(
                f"a constraint is given for '{name}', which is no numeric feature; numeric features are: {known}"
            )
    if declared and labels > 2:
        raise ConfigError(
            f"constraints say what the value or the second of two labels does; {labels} labels have no such direction"
        )
    return tuple(
        feature.model_copy(update={"monotone": declared[feature.name]}) if feature.name in declared else feature
        for feature in features
    )


def heavy_tails(features: Sequence[Feature]) -> tuple[str, ...]:
    """Returns a note for every numeric feature of heavy tails: how it is read, or what to do about it."""
    notes = []
    for feature in features:
        if not isinstance(feature, NumericFeature):
            continue
        reach = max(feature.mean - feature.low, feature.high - feature.mean) / feature.std
        if feature.bend is not None:
            notes.append(
                f"column '{feature.name}' reaches {reach:.0f} standard deviations from its mean, so the model reads it "
                f"on a logarithmic scale, asinh((x - {feature.bend.start:.6g}) / {feature.bend.scale:.3g}); send it as "
                f"it is. One standard deviation of its noise is taken for {feature.noise:.3g} unless declared (--noise)"
            )
        elif reach > FAR:
            notes.append(
                f"column '{feature.name}' reaches {reach:.0f} standard deviations from its mean, where polynomials "
                "grow beyond measure: take its logarithm, or cut off its extremes"
            )
    return tuple(notes)
