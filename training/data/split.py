"""Splits rows into those to train on and those kept apart, by chance, by groups or by time."""

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, train_test_split

from chainzrule.training.data.errors import DataError

TEST_SHARE = 0.2
FEWEST_ROWS = 2000  # with fewer, a fifth of them is too small a test; every row is scored out of fold instead
FOLDS = 5  # of rows that are judged out of fold

Indices = NDArray[np.int64]


def split_rows(
    rows: int,
    classes: Indices | None,
    seed: int,
    groups: Indices | None = None,
    time: NDArray[np.float64] | None = None,
) -> tuple[Indices, Indices | None]:
    """Returns the ascending row indices to train on and to test with; the latter are None below 2,000 rows.

    Args:
        rows: how many there are.
        classes: (rows,) label indices, whose shares both parts keep; None where there are none.
        seed: the same seed gives the same split.
        groups: (rows,) codes; no group has rows in both parts.
        time: (rows,) when each row was; the latest fifth is kept apart, however few the rows are.

    Raises:
        DataError: there are fewer than five groups, or a label that occurs in the latest fifth only.
    """
    every = np.arange(rows, dtype=np.int64)
    if time is not None:
        return _by_time(time, classes)
    if groups is not None and len(np.unique(groups)) < FOLDS:
        raise DataError(f"there are {len(np.unique(groups))} groups; {FOLDS} are needed to hold some of them out")
    if rows < FEWEST_ROWS:
        return every, None
    if groups is not None:
        test = by_group(groups, classes, FOLDS, seed)[0]
        return np.setdiff1d(every, test), test
    train, test = train_test_split(every, test_size=TEST_SHARE, stratify=classes, random_state=seed)
    return np.sort(train), np.sort(test)


def folds(
    y: NDArray[np.generic], count: int, seed: int, stratified: bool, groups: Indices | None = None
) -> list[Indices]:
    """Returns the row indices of `count` folds of equal size; stratified folds hold every label in the same share.

    Folds of rows with groups share none, and are as equal as that permits; there is one for each group where these are
    fewer. A single group is split like other rows.
    """
    kinds = 1 if groups is None else len(np.unique(groups))
    if groups is not None and kinds > 1:
        return by_group(groups, y.astype(np.int64) if stratified else None, min(count, kinds), seed)
    order = np.random.default_rng(seed).permutation(len(y))
    if stratified:
        order = order[np.argsort(y[order], kind="stable")]
    return [np.sort(order[first::count]) for first in range(count)]


def by_group(groups: Indices, classes: Indices | None, count: int, seed: int) -> list[Indices]:
    """Returns the row indices of `count` folds that share no group; labels have about the same share in each."""
    if classes is None:
        splits = GroupKFold(count, shuffle=True, random_state=seed).split(groups, groups=groups)
    else:
        splits = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(groups, classes, groups)
    return [np.sort(held).astype(np.int64) for _, held in splits]


def _by_time(time: NDArray[np.float64], classes: Indices | None) -> tuple[Indices, Indices]:
    """Returns the earlier rows and the latest fifth of them, in which no moment of the earlier ones occurs."""
    cut = np.sort(time)[int((1 - TEST_SHARE) * len(time))]
    late = time >= cut if (time >= cut).mean() < 2 * TEST_SHARE else time > cut
    train, test = np.flatnonzero(~late).astype(np.int64), np.flatnonzero(late).astype(np.int64)
    if len(train) == 0 or len(test) == 0:
        raise DataError("nearly all rows have the same time, so that none can be kept apart as later ones")
    if classes is not None and len(np.setdiff1d(classes, classes[train])) > 0:
        raise DataError(
            "a label of the target occurs in the latest fifth of the rows only, so that it cannot be learnt"
        )
    return train, test
