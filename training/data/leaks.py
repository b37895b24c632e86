"""Finds columns that give the target away: a copy of it, or what was made from it."""

import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chainzrule.training.data.columns import CategoricalColumn, Column
from chainzrule.training.data.errors import Problem

COPY = 1e-9  # how far from 1 the correlation of a copy is at most
FEWEST = 10  # rows on each side of a threshold, for it to be no accident
MOST_GROUPS = 20

Floats = NDArray[np.float64]


def copies(columns: Sequence[Column], target: str, y: NDArray[np.generic], labels: bool) -> Iterator[Problem]:
    """Yields a problem for every column that says the same as the target in every row, in its own words or units."""
    values, target_codes = np.unique(y, return_inverse=True)
    for column in columns:
        if labels or isinstance(column, CategoricalColumn):
            found = _one_to_one(_codes(column), target_codes, len(values), labels)
        else:
            found = _linear(column.values, y.astype(np.float64))
        if found:
            yield Problem(
                f"column '{column.name}' is a copy of the target '{target}'; drop it, or name it as numeric or "
                "categorical to use it all the same",
                (f"--drop {shlex.quote(column.name)}",),
                column.name,
            )


def hints(columns: Sequence[Column], target: str, y: NDArray[np.generic], labels: bool) -> Iterator[tuple[str, str]]:
    """Yields the columns that may have been made from the target, or the target from them, with a note.

    That is a column of few values whose rows have targets that do not overlap, or a number that tells all labels apart.
    """
    target_codes = np.unique(y, return_inverse=True)[1]
    for column in columns:
        if labels and not isinstance(column, CategoricalColumn):
            apart = _apart(column.values, target_codes)
            what = f"its numbers alone tell all labels of '{target}' apart"
        elif not labels and 1 < len(np.unique(codes := _codes(column))) <= MOST_GROUPS:
            apart = _apart(y.astype(np.float64), codes)
            what = f"each of its values stands for a range of '{target}' of its own"
        else:
            continue
        if apart:
            note = (
                f"column '{column.name}' may give the target away, because {what}; leave it out if it is not known "
                f"when the model is asked: --drop {shlex.quote(column.name)}"
            )
            yield column.name, note


def _codes(column: Column) -> NDArray[np.int64]:
    """Returns (rows,) which of its distinct values each row has; -1 for a gap."""
    if isinstance(column, CategoricalColumn):
        return column.codes
    codes = np.unique(column.values, return_inverse=True)[1].astype(np.int64)
    return np.where(np.isnan(column.values), -1, codes)


def _one_to_one(codes: NDArray[np.int64], y: NDArray[np.int64], count: int, labels: bool) -> bool:
    """Returns whether each of the `count` values of the target has one value of the column for itself."""
    if count < 2 or len(np.unique(codes)) != count:
        return False
    # What has another value in nearly every row is an id, whatever the target is.
    few = labels or count <= len(codes) // 2
    return few and len(np.unique((codes + 1) * count + y)) == count


def _linear(values: Floats, y: Floats) -> bool:
    known = ~np.isnan(values)
    if known.sum() < FEWEST or len(np.unique(values[known])) < 3:
        return False
    x, z = values[known] - values[known].mean(), y[known] - y[known].mean()
    size = float(np.sqrt((x @ x) * (z @ z)))
    return size > 0 and abs(float(x @ z)) >= (1 - COPY) * size


def _apart(values: Floats, codes: NDArray[np.int64]) -> bool:
    """Returns whether groups of rows, by their codes, have ranges of values that do not overlap."""
    if np.isnan(values).any() or (codes < 0).any():
        return False
    groups, counts = np.unique(codes, return_counts=True)
    if len(groups) < 2 or counts.min() < FEWEST:
        return False
    ranges = sorted((values[codes == group].min(), values[codes == group].max()) for group in groups)
    return all(one[1] < other[0] for one, other in pairwise(ranges))
