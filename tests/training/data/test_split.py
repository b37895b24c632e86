"""Which rows are kept apart for the test."""

import numpy as np

from chainzrule.training.data.split import split_rows


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
