"""Turns a column into its description on the card and its block of the network's input."""

import re

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import CategoricalFeature, Feature, NumericFeature
from chainzrule.training.data.columns import CategoricalColumn, Column, NumericColumn
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.noise import default_noise
from chainzrule.training.data.weights import median, moments

MISSING = "(missing)"  # the level that stands for a gap
MOST_LEVELS = 64

_ID_WORDS = {"id", "uuid", "guid", "key"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # finds the words of customer_id, customerId, CustomerID


def describe(
    column: Column,
    train: NDArray[np.int64],
    unit: str | None = None,
    weights: NDArray[np.float64] | None = None,
) -> Feature:
    """Describes a column by its training rows; a gap anywhere in it gives it a `fill`.

    Levels are those of the whole column: which there are is no statistic, and the rows of the test must be encodable.

    Args:
        column: as read.
        train: row indices; mean, std, low, high and fill are theirs alone.
        unit: of a numeric column.
        weights: of those rows; None where all count once.

    Raises:
        DataError: a column of too many levels.
    """
    if isinstance(column, CategoricalColumn):
        return _describe_levels(column)
    seen = column.values[train]
    known = ~np.isnan(seen)
    seen = seen[known]
    weights = None if weights is None else weights[known]
    distinct = len(np.unique(seen))
    mean, std = map(float, moments(seen, weights))
    if distinct < 2 or not np.finfo(np.float32).tiny <= std:
        distinct, std = 1, abs(mean) or 1.0  # a constant column carries no information, and its weights are 0
    # The range is that of the float32 values that the service will see, so that rounding puts no extreme row outside.
    stored = seen.astype(np.float32)
    return NumericFeature(
        name=column.name,
        unit=unit,
        mean=mean,
        std=std,
        low=float(stored.min()),
        high=float(stored.max()),
        noise=default_noise(std, distinct),
        fill=None if not np.isnan(column.values).any() else median(seen, weights),
    )


def encode(column: Column, feature: Feature) -> NDArray[np.float32]:
    """Returns the column's input block: (rows, 1) in its unit with gaps filled, or (rows, levels) one-hot."""
    if isinstance(column, NumericColumn) and isinstance(feature, NumericFeature):
        fill = np.nan if feature.fill is None else feature.fill
        return np.where(np.isnan(column.values), fill, column.values).astype(np.float32)[:, np.newaxis]
    if isinstance(column, CategoricalColumn) and isinstance(feature, CategoricalFeature):
        gap = feature.levels.index(feature.fill) if feature.fill is not None else -1
        places = np.array([*(feature.levels.index(level) for level in column.levels), gap])
        one_hot: NDArray[np.float32] = np.eye(len(feature.levels), dtype=np.float32)[places[column.codes]]
        return one_hot
    raise TypeError(f"column '{column.name}' is not of the feature's kind")


def refuse_id(column: Column) -> None:
    """Refuses a column that only tells rows apart, because a network would memorise the rows by it.

    Raises:
        DataError: every row another text, whole numbers that count the rows, or distinct whole numbers named as an id.
    """
    if isinstance(column, CategoricalColumn):
        if len(column.levels) == len(column.codes):
            raise DataError(f"column '{column.name}' has another text in every row, like an id; drop it")
        return
    values = column.values
    if np.isnan(values).any() or not np.array_equal(values, np.round(values)) or len(values) < 3:
        return
    if (np.diff(values) == 1).all():
        what = "counts the rows"
    elif len(np.unique(values)) == len(values) and _ID_WORDS & {word.lower() for word in _WORD.findall(column.name)}:
        what = "has another whole number in every row and the name of an id"
    else:
        return
    raise DataError(f"column '{column.name}' {what}; drop it, or name it as numeric if it is a measurement")


def refuse_constant(column: Column, train: NDArray[np.int64]) -> None:
    """Refuses a column that carries no information.

    Raises:
        DataError: one value, or none, in the rows to train on, or numbers that float32 cannot tell apart.
    """
    if isinstance(column, CategoricalColumn):
        distinct = len(np.unique(column.codes[train]))
    else:
        seen = column.values[train]
        seen = seen[~np.isnan(seen)]
        distinct, std = len(np.unique(seen)), float(seen.std()) if len(seen) else 0.0
        if distinct > 1 and not np.finfo(np.float32).tiny <= std:
            raise DataError(f"column '{column.name}' varies by {std:.3g} only, too little for float32; change its unit")
    if distinct < 2:
        raise DataError(f"column '{column.name}' is constant in the rows to train on; drop it")


def _describe_levels(column: CategoricalColumn) -> CategoricalFeature:
    gaps = bool((column.codes < 0).any()) or len(column.levels) < 2
    levels = column.levels if not gaps or MISSING in column.levels else (*column.levels, MISSING)
    if len(levels) > MOST_LEVELS:
        raise DataError(
            f"column '{column.name}' has {len(levels)} levels; at most {MOST_LEVELS} can be used, so merge or drop it"
        )
    return CategoricalFeature(name=column.name, levels=levels, fill=MISSING if gaps else None)
