"""Draws a model's measurement noise: of any size, correlated, bounded, heavy-tailed, or of categories' levels."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import CategoricalFeature, NumericFeature
from chainzrule.service.artifact.noise import Law, NoiseModel

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Matrix = NDArray[np.float32]

NEAR = 4.0  # a bound so many noise sigmas away is out of the noise's reach


class Streams(NamedTuple):
    """Holds generators of their own for values, tails and levels, so that draws are the same in pieces of any size."""

    values: np.random.Generator
    tails: np.random.Generator
    levels: np.random.Generator


def streams(seed: int) -> Streams:
    """Returns the generators of a seed."""
    return Streams(*(np.random.default_rng(key) for key in (seed, (seed, 1), (seed, 2))))


@dataclass(frozen=True)
class Together:
    """Holds columns whose noise moves together.

    Attributes:
        columns: (n,) their places.
        root: (n, n) a root L of their correlation L L^T.
    """

    columns: Indices
    root: Floats


@dataclass(frozen=True)
class Confusion:
    """Holds how often the levels of a category are taken for others.

    Attributes:
        start: the first of its columns.
        chances: (levels, levels) chance of each level where another, or the same, is recorded.
    """

    start: int
    chances: Floats

    @property
    def block(self) -> slice:
        """Returns the category's columns."""
        return slice(self.start, self.start + len(self.chances))

    def levels(self, rows: NDArray[np.floating], scale: Floats, chances: Floats) -> Matrix:
        """Returns the recorded levels, (rows, draws, levels) one-hot, at multiples of the noise.

        Args:
            rows: (rows, D) the encoded rows.
            scale: (rows,) how many times as often levels are confused, as far as chances allow.
            chances: (draws,) uniform from 0 to 1.
        """
        level = rows[:, self.block].argmax(axis=1)
        away = self.chances[level].copy()
        each = np.arange(len(level))
        away[each, level] = 0.0
        total = away.sum(axis=1, keepdims=True)
        away *= np.minimum(scale[:, None], 1.0 / np.where(total > 0, total, 1.0))
        away[each, level] = np.maximum(0.0, 1.0 - away.sum(axis=1))
        found = (chances[None, :, None] >= np.cumsum(away, axis=1)[:, None, :-1]).sum(axis=2)
        recorded: Matrix = np.eye(len(self.chances), dtype=np.float32)[found]
        return recorded


@dataclass(frozen=True)
class Noise:
    """Holds the noise of the D columns of encoded rows.

    Attributes:
        sd: (D,) its standard deviation; 0 where a column does not move.
        share: (D,) what is added to that, as a share of the value's size; None where there is no such column.
        least: (D,) the least value that can be measured, -inf where there is none; None where no column is bounded.
        most: (D,) the largest likewise.
        together: columns whose noise is correlated.
        confusions: categories whose levels may be taken for others.
        law: the law of one column's noise.
        degrees_of_freedom: of the law t.
    """

    sd: Floats
    share: Floats | None = None
    least: Floats | None = None
    most: Floats | None = None
    together: tuple[Together, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    law: Law = "normal"
    degrees_of_freedom: float = math.inf

    @property
    def is_plain(self) -> bool:
        """Returns whether the noise is independent, normal, unbounded, of one size for all rows, and of numbers."""
        return self.is_normal and not self.together and self.least is None

    @property
    def is_normal(self) -> bool:
        """Returns whether the noise is normal, of one size for all rows, wherever no bound is near."""
        return self.law == "normal" and self.share is None and not self.confusions

    def reaches_bound(self, rows: NDArray[np.floating], scale: Floats) -> NDArray[np.bool_]:
        """Returns which rows, (rows, D), have a column whose noise, times (rows,) scales, reaches one of its bounds."""
        if self.least is None or self.most is None:
            return np.zeros(len(rows), np.bool_)
        reach = NEAR * scale[:, None] * self.sd
        beyond = (rows - reach < self.least) | (rows + reach > self.most)
        return np.asarray((beyond & (self.sd > 0)).any(axis=1))

    def bounded_off(self, rows: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Returns which rows, (rows, D), lie beyond a bound, to which their noise would move them."""
        if self.least is None or self.most is None:
            return np.zeros(len(rows), np.bool_)
        return np.asarray(((rows < self.least) | (rows > self.most)).any(axis=1))

    def root(self) -> Floats:
        """Returns the (D, m) root F of the noise's covariance F F^T, over the columns that move."""
        full = np.diag(self.sd)
        for group in self.together:
            full[np.ix_(group.columns, group.columns)] = self.sd[group.columns, None] * group.root
        return np.asarray(full[:, self.sd > 0])

    def with_sd(self, columns: Indices, sd: Floats) -> "Noise":
        """Returns this noise with other standard deviations in some columns, which no share of the value adds to."""
        found = self.sd.copy()
        found[columns] = sd
        share = None if self.share is None else self.share.copy()
        if share is not None:
            share[columns] = 0.0
        return replace(self, sd=found, share=share)

    def with_covariance(self, columns: Indices, covariance: Floats) -> "Noise":
        """Returns this noise with another covariance of some columns, whose noise is independent of the others'."""
        sd = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
        unit = np.where(sd > 0, sd, 1.0)
        correlation = covariance / np.outer(unit, unit)
        np.fill_diagonal(correlation, 1.0)
        together = [Together(columns, root_of(correlation))] if len(columns) > 1 else []
        for group in self.together:
            kept = np.flatnonzero(~np.isin(group.columns, columns))
            if len(kept) > 1:
                rest = (group.root @ group.root.T)[np.ix_(kept, kept)]
                together.append(Together(group.columns[kept], root_of(rest)))
        return replace(self.with_sd(columns, sd), together=tuple(together))

    def draw(self, random: Streams, row: NDArray[np.floating], scale: float, count: int) -> Matrix:
        """Returns (count, D) a row with drawn noise, at a multiple of it, the same in pieces of any size."""
        width = len(row)
        z = self._standard(random, count, width)
        for group in self.together:
            z[:, group.columns] = z[:, group.columns] @ group.root.T.astype(np.float32)
        z *= (scale * self.sizes(row)).astype(np.float32)
        z += row.astype(np.float32)
        self.limit(z)
        for one in self.confusions:
            z[:, one.block] = one.levels(row[None], np.array([scale]), random.levels.random(count))[0]
        return z

    def sizes(self, rows: NDArray[np.floating]) -> Floats:
        """Returns the standard deviations of rows' noise, (D,) or (rows, D), which may be a share of the values."""
        if self.share is None:
            return np.broadcast_to(self.sd, rows.shape)
        return np.asarray(self.sd + self.share * np.abs(np.nan_to_num(rows)))

    def limit(self, rows: Matrix) -> None:
        """Cuts rows, (..., D), at the columns' bounds."""
        if self.least is not None and self.most is not None:
            np.clip(rows, self.least.astype(np.float32), self.most.astype(np.float32), out=rows)

    def _standard(self, random: Streams, count: int, width: int) -> Matrix:
        """Returns (count, D) draws of mean 0 and variance 1 of the law, before they are correlated."""
        if self.law == "uniform":
            return (random.values.random((count, width), dtype=np.float32) * 2.0 - 1.0) * np.float32(math.sqrt(3.0))
        z = random.values.standard_normal((count, width), dtype=np.float32)
        if self.law == "t":
            freedom = self.degrees_of_freedom
            tails = np.sqrt((freedom - 2.0) / random.tails.chisquare(freedom, (count, width)))
            for group in self.together:  # errors that move together have their large ones together
                tails[:, group.columns] = tails[:, group.columns[:1]]
            z *= tails.astype(np.float32)
        return z


def noise_of(features: Iterable[NumericFeature | CategoricalFeature], model: NoiseModel | None) -> Noise:
    """Returns the noise that a card declares of its inputs, one for each value that a caller sends."""
    places: dict[str, int] = {}
    at: list[int] = []
    numeric: list[NumericFeature] = []
    confusions: list[Confusion] = []
    width = 0
    for feature in features:
        if isinstance(feature, NumericFeature):
            places[feature.name] = width
            at.append(width)
            numeric.append(feature)
            width += 1
        else:
            if feature.confusion is not None:
                confusions.append(Confusion(width, np.array(feature.confusion)))
            width += len(feature.levels)

    def column(values: Sequence[float | None], missing: float) -> Floats:
        full = np.full(width, missing)
        full[at] = [missing if value is None else value for value in values]
        return full

    bounded = any(feature.least is not None or feature.most is not None for feature in numeric)
    proportional = any(feature.noise_share is not None for feature in numeric)
    found = Noise(
        sd=column([feature.noise for feature in numeric], 0.0),
        share=column([feature.noise_share for feature in numeric], 0.0) if proportional else None,
        least=column([feature.least for feature in numeric], -math.inf) if bounded else None,
        most=column([feature.most for feature in numeric], math.inf) if bounded else None,
        confusions=tuple(confusions),
    )
    if model is None:
        return found
    return replace(
        found,
        together=tuple(
            Together(np.array([places[name] for name in group.features]), root_of(np.array(group.correlation)))
            for group in model.groups
        ),
        law=model.law,
        degrees_of_freedom=math.inf if model.degrees_of_freedom is None else model.degrees_of_freedom,
    )


def root_of(matrix: Floats) -> Floats:
    """Returns the (n, n) symmetric root of a covariance or correlation, without what rounding made negative."""
    sizes, directions = np.linalg.eigh((matrix + matrix.T) / 2.0)
    return np.asarray((directions * np.sqrt(np.maximum(sizes, 0.0))) @ directions.T)
