"""Which rows are kept apart for the test."""

import numpy as np
import pytest

from chainzrule.training.data.errors import DataError
from chainzrule.training.data.split import by_group, folds, split_rows


def test_few_rows_are_all_trained_on() -> None:
    train, test = split_rows(1999, None, seed=0)
    assert train.tolist() == list(range(1999))
    assert test is None


def test_a_fifth_is_kept_apart_and_every_row_is_in_one_part() -> None:
    train, test = split_rows(2000, None, seed=0)
    assert test is not None
    assert (len(train), len(test)) == (1600, 400)
    assert sorted([*train, *test]) == list(range(2000))
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()
    assert np.diff(test).max() > 1  # not the last fifth


def test_both_parts_keep_the_shares_of_the_classes() -> None:
    classes = np.repeat([0, 1, 2], [1500, 400, 100])
    train, test = split_rows(2000, classes, seed=1)
    assert test is not None
    assert np.bincount(classes[train]).tolist() == [1200, 320, 80]
    assert np.bincount(classes[test]).tolist() == [300, 80, 20]


def test_the_seed_decides() -> None:
    first, again, other = (split_rows(2000, None, seed)[0].tolist() for seed in (3, 3, 4))
    assert first == again != other


def test_folds_share_out_the_rows_and_the_labels() -> None:
    y = np.array([0] * 80 + [1] * 20)
    found = folds(y, 5, seed=1, stratified=True)
    assert sorted(np.concatenate(found)) == list(range(100))
    assert [int(y[index].sum()) for index in found] == [4] * 5
    assert not np.array_equal(found[0], folds(y, 5, seed=2, stratified=True)[0])
    assert [len(index) for index in folds(y, 3, seed=1, stratified=False)] == [34, 33, 33]


GROUPS = np.random.default_rng(0).integers(0, 40, 2000)


def test_a_group_is_in_one_part() -> None:
    classes = np.random.default_rng(1).integers(0, 2, 2000)
    for labels in (None, classes):
        train, test = split_rows(2000, labels, 0, GROUPS)
        assert test is not None
        assert sorted([*train, *test]) == list(range(2000))
        assert 300 < len(test) < 500
        assert not set(GROUPS[train]) & set(GROUPS[test])
        parts = by_group(GROUPS, labels, 5, seed=0)
        assert sorted(np.concatenate(parts)) == list(range(2000))
        assert sum(len(set(GROUPS[part])) for part in parts) == 40
    assert split_rows(1000, None, 0, GROUPS[:1000])[1] is None
    with pytest.raises(DataError, match="there are 4 groups; 5 are needed"):
        split_rows(100, None, 0, np.arange(100) % 4)


def test_the_folds_of_groups_share_none() -> None:
    y = np.arange(2000) % 2
    found = folds(y, 5, seed=1, stratified=True, groups=GROUPS)
    assert sum(len(set(GROUPS[part])) for part in found) == 40
    assert not np.array_equal(found[0], folds(y, 5, seed=2, stratified=True, groups=GROUPS)[0])
    assert len(folds(y, 5, seed=1, stratified=False, groups=GROUPS)) == 5


def test_the_latest_fifth_is_kept_apart_however_few_the_rows_are() -> None:
    time = np.random.default_rng(2).permutation(100) / 7
    train, test = split_rows(100, None, 0, time=time)
    assert test is not None
    assert (len(train), len(test)) == (80, 20)
    assert time[train].max() < time[test].min()
    days = np.repeat(np.arange(10), 10)  # no day is in both
    train, test = split_rows(100, None, 0, time=days)
    assert test is not None
    assert days[train].max() < days[test].min()


def test_time_that_cannot_part_the_rows_is_refused() -> None:
    with pytest.raises(DataError, match="nearly all rows have the same time"):
        split_rows(100, None, 0, time=np.zeros(100))
    with pytest.raises(DataError, match="occurs in the latest fifth of the rows only"):
        split_rows(100, np.arange(100) // 90, 0, time=np.arange(100.0))


def test_few_groups_make_few_folds() -> None:
    y, two = np.arange(60) % 2, np.repeat([0, 1], 30)
    parts = folds(y, 5, seed=1, stratified=True, groups=two)
    assert sorted(map(len, parts)) == [30, 30]
    assert all(len(np.unique(two[part])) == 1 for part in parts)
    assert len(folds(y, 5, seed=1, stratified=True, groups=np.zeros(60, np.int64))) == 5
