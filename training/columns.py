"""Holds the card's features as vectors over the D columns that a graph takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import Feature, Layout, NumericFeature
from chainzrule.service.stability.ranges import outside
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
    """

    mean: Floats
    std: Floats
    low: Floats
    high: Floats
    noise: Floats
    blocks: tuple[slice, ...]
    pooled: bool

    @property
    def width(self) -> int:
        """Returns D, the number of columns."""
        return len(self.mean)

    @classmethod
    def of(cls, features: Sequence[Feature], layout: Layout | None) -> "Columns":
        """Returns the columns of a card's features; an image's one feature stands for every pixel."""
        repeats = layout.height * layout.width if layout else 1
        facts: list[tuple[float, float, float, float, float]] = []
        blocks = []
        for feature in features:
            if isinstance(feature, NumericFeature):
                facts += [(feature.mean, feature.std, feature.low, feature.high, feature.noise)] * repeats
            else:
                blocks.append(slice(len(facts), len(facts) + len(feature.levels)))
                facts += [(0.0, 1.0, 0.0, 1.0, 0.0)] * len(feature.levels)
        mean, std, low, high, noise = np.array(facts, dtype=np.float64).T
        return cls(mean, std, low, high, noise, tuple(blocks), pooled=layout is not None)

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
        return replace(
            self,
            mean=np.where(numeric, mean, 0.0),
            std=np.where(numeric & (std > 0), std, self.std),
            low=np.where(numeric, low, 0.0),
            high=np.where(numeric, high, 1.0),
        )

    def standardise(self, x: NDArray[np.floating]) -> Floats:
        """Returns (rows, D) features in units of the training rows' standard deviations, with mean 0."""
        return (x.astype(np.float64) - self.mean) / self.std

    def out_of_range(self, x: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Returns (rows,) whether any column lies outside its range in training, compared as the service compares."""
        return np.asarray(outside(x.astype(np.float32, copy=False), self.low, self.high).any(axis=1))


def synthetic_rows(columns: Columns, rows: int, seed: int) -> NDArray[np.float32]:
    """Returns (rows, D) normal draws around every column's mean, within its range; one-hot blocks get random levels."""
    random = np.random.default_rng(seed)
    draws = columns.mean + columns.std * random.standard_normal((rows, columns.width))
    features = np.clip(draws, columns.low, columns.high)
    for block in columns.blocks:
        level = random.integers(block.stop - block.start, size=rows)
        features[:, block] = np.eye(block.stop - block.start)[level]
    # Casting a bound to float32 may round it outside the range.
    low, high = columns.low.astype(np.float32), columns.high.astype(np.float32)
    return np.clip(features.astype(np.float32), low, high)


def with_noise(features: Sequence[Feature], overrides: Mapping[str, float]) -> tuple[Feature, ...]:
    """Returns the features with the user's noise in place of the default.

    Raises:
        ConfigError: a name that is no numeric feature, or a noise that is no number >= 0.
    """
    numeric = {feature.name for feature in features if isinstance(feature, NumericFeature)}
    for name, noise in overrides.items():
        if name not in numeric:
            known = ", ".join(sorted(numeric)) or "none"
            raise ConfigError(
                f"noise is given for '{name}', which is no numeric feature; numeric features are: {known}"
            )
        if not 0 <= noise < np.inf:
            raise ConfigError(f"the noise of '{name}' must be a number >= 0, in the feature's own unit")
    return tuple(
        feature.model_copy(update={"noise": float(overrides[feature.name])}) if feature.name in overrides else feature
        for feature in features
    )


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
    """Returns a note for every numeric feature whose extreme values a polynomial network will overweight."""
    notes = []
    for feature in features:
        if isinstance(feature, NumericFeature):
            reach = max(feature.mean - feature.low, feature.high - feature.mean) / feature.std
            if reach > FAR:
                notes.append(
                    f"column '{feature.name}' reaches {reach:.0f} standard deviations from its mean, where polynomials "
                    "grow beyond measure: take its logarithm, or cut off its extremes"
                )
    return tuple(notes)
