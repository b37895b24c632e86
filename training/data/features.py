"""Turns a column into its description on the card and its block of the network's input."""

import re
import shlex

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import CategoricalFeature, Feature, NumericFeature
from chainzrule.training.data.columns import CategoricalColumn, Column, NumericColumn
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.noise import default_noise
from chainzrule.training.data.weights import median, moments

MISSING = "(missing)"  # the level that stands for a gap
OTHER = "(other)"  # the level that rare ones are merged into
MOST_LEVELS = 64
LEAST_KEPT = 0.5  # the share of rows that have one of the levels kept; with less a column is free text

_ID_WORDS = {"id", "uuid", "guid", "key", "index", "unnamed", "rownames", "rowname"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # finds the words of customer_id, customerId, CustomerID


def describe(
    column: Column,
    train: NDArray[np.int64],
    unit: str | None = None,
    weights: NDArray[np.float64] | None = None,
) -> Feature:
    """Describes a column by its training rows; a gap anywhere in it gives it a `fill`.

    Levels are those of the whole column: which there are is no statistic, and the rows of the test must be encodable.
    Where there are too many, the commonest of the training rows stay, and the others become one.

    Args:
        column: as read.
        train: row indices; mean, std, low, high and fill are theirs alone.
        unit: of a numeric column.
        weights: of those rows; None where all count once.

    Raises:
        DataError: a column of too many levels, most of them rare, or of no value in the training rows.
    """
    if isinstance(column, CategoricalColumn):
        return _describe_levels(column, train, weights)
    seen = column.values[train]
    known = ~np.isnan(seen)
    seen = seen[known]
    if len(seen) == 0:
        raise DataError(f"column '{column.name}' holds no value in the rows to train on; drop it")
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
        noise=0.0 if column.date else default_noise(std, distinct),  # nobody measures a date
        date=column.date,
        fill=None if not np.isnan(column.values).any() else median(seen, weights),
    )


def opened(
    feature: Feature, column: Column, train: NDArray[np.int64], weights: NDArray[np.float64] | None = None
) -> Feature:
    """Returns a feature that takes gaps and unknown levels too: as the median, or as the commonest level.

    The arguments are those of `describe`, and `feature` is what it returned.
    """
    if isinstance(column, NumericColumn) and isinstance(feature, NumericFeature):
        seen = column.values[train]
        known = ~np.isnan(seen)
        usual = median(seen[known], None if weights is None else weights[known])
        return feature.model_copy(update={"fill": usual if feature.fill is None else feature.fill})
    assert isinstance(column, CategoricalColumn)
    assert isinstance(feature, CategoricalFeature)
    counts = np.zeros(len(feature.levels))
    np.add.at(counts, places_of(column, feature)[column.codes[train]], 1.0 if weights is None else weights)
    commonest = feature.levels[int(counts.argmax())]
    return feature.model_copy(update={"fill": feature.fill or commonest, "other": feature.other or commonest})


def encode(column: Column, feature: Feature) -> NDArray[np.float32]:
    """Returns the column's input block: (rows, 1) in its unit with gaps filled, or (rows, levels) one-hot."""
    if isinstance(column, NumericColumn) and isinstance(feature, NumericFeature):
        fill = np.nan if feature.fill is None else feature.fill
        return np.where(np.isnan(column.values), fill, column.values).astype(np.float32)[:, np.newaxis]
    if isinstance(column, CategoricalColumn) and isinstance(feature, CategoricalFeature):
        one_hot: NDArray[np.float32] = np.eye(len(feature.levels), dtype=np.float32)[
            places_of(column, feature)[column.codes]
        ]
        return one_hot
    raise TypeError(f"column '{column.name}' is not of the feature's kind")


def places_of(column: CategoricalColumn, feature: CategoricalFeature) -> NDArray[np.int64]:
    """Returns the place of each of the column's levels among the feature's; that of a gap comes last.

    A level that the feature does not list is at the place of its `other`.
    """
    place = {level: index for index, level in enumerate(feature.levels)}
    other = -1 if feature.other is None else place[feature.other]
    gap = -1 if feature.fill is None else place[feature.fill]
    return np.array([*(place.get(level, other) for level in column.levels), gap], dtype=np.int64)


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
    if (
        column.date is not None
        or np.isnan(values).any()
        or not np.array_equal(values, np.round(values))
        or len(values) < 3
    ):
        return
    if (np.diff(values) == 1).all():
        what = "counts the rows"
    elif len(np.unique(values)) == len(values) and _ID_WORDS & {word.lower() for word in _WORD.findall(column.name)}:
        what = "has another whole number in every row and the name of an id"
    else:
        return
    if "unnamed" in column.name.lower():
        what += ", as a row index that was written along has"
    drop, keep = f"--drop {shlex.quote(column.name)}", f"--numeric {shlex.quote(column.name)}"
    raise DataError(f"column '{column.name}' {what}; drop it, or name it as numeric if it is a measurement", drop, keep)


def is_constant(column: Column, train: NDArray[np.int64]) -> bool:
    """Returns whether a column has one value in the rows to train on, so that it cannot have any influence.

    Raises:
        DataError: numbers that float32 cannot tell apart.
    """
    if isinstance(column, CategoricalColumn):
        return len(np.unique(column.codes[train])) < 2
    seen = column.values[train]
    seen = seen[~np.isnan(seen)]
    distinct, std = len(np.unique(seen)), float(seen.std()) if len(seen) else 0.0
    if distinct > 1 and not np.finfo(np.float32).tiny <= std:
        raise DataError(f"column '{column.name}' varies by {std:.3g} only, too little for float32; change its unit")
    return distinct < 2


def _describe_levels(
    column: CategoricalColumn, train: NDArray[np.int64], weights: NDArray[np.float64] | None
) -> CategoricalFeature:
    gaps = bool((column.codes < 0).any()) or len(column.levels) < 2
    more = (MISSING,) if gaps and MISSING not in column.levels else ()
    levels, other = column.levels, None
    if len(levels) + len(more) > MOST_LEVELS:
        levels, other = _commonest(column, MOST_LEVELS - 1 - len(more), train, weights), OTHER
    levels = tuple(dict.fromkeys((*levels, *([] if other is None else [other]), *more)))
    return CategoricalFeature(name=column.name, levels=levels, fill=MISSING if gaps else None, other=other)


def _commonest(
    column: CategoricalColumn, count: int, train: NDArray[np.int64], weights: NDArray[np.float64] | None
) -> tuple[str, ...]:
    """Returns so many of the commonest levels, in the column's order."""
    codes = column.codes[train]
    known = codes >= 0
    found = np.bincount(codes[known], None if weights is None else weights[known], minlength=len(column.levels))
    kept = np.sort(np.argsort(-found, kind="stable")[:count])
    if found[kept].sum() < LEAST_KEPT * found.sum():
        raise DataError(
            f"column '{column.name}' has {len(column.levels)} levels, most of them in few rows, like free text; drop it"
        )
    return tuple(column.levels[place] for place in kept.tolist())
