"""Columns that are no features: weights, groups and times."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from chainzrule.training.data.errors import DataError
from chainzrule.training.data.roles import read_groups, read_times, read_weights


def series(*cells: Any) -> "pd.Series[Any]":
    return pd.Series(cells, name="c")


def test_weights_are_numbers_above_0() -> None:
    assert read_weights(None) is None
    found = read_weights(series(1, 2.5, 3))
    assert found is not None
    assert found.tolist() == [1, 2.5, 3]
    for bad in (0, -1, None):
        with pytest.raises(DataError, match=r"no number above 0 \(the first in row 2\)"):
            read_weights(series(1, bad, 2))
    with pytest.raises(DataError, match="holds text"):
        read_weights(series("a", "b"))


def test_balanced_all_labels_count_alike() -> None:
    classes = np.array([0, 0, 0, 1])
    found = read_weights(None, classes)
    assert found is not None
    np.testing.assert_allclose(found, [2 / 3, 2 / 3, 2 / 3, 2.0])
    found = read_weights(series(1.0, 1.0, 2.0, 4.0), classes)
    assert found is not None
    assert found[:3].sum() == pytest.approx(found[3])
    assert found[2] == 2 * found[0]


def test_groups_are_numbered() -> None:
    assert read_groups(series("b", "a", "b")).tolist() == [0, 1, 0]
    assert read_groups(series(7, 7, 1)).tolist() == [0, 0, 1]
    with pytest.raises(DataError, match=r"no group for some rows \(the first is row 2\)"):
        read_groups(series("a", None))


@pytest.mark.parametrize(
    "cells",
    [
        (3, 1, 2),
        ("2020-03-01", "2020-01-01", "2020-02-01"),
        ("1.3.2020", "13.1.2020", "14.2.2019"),
        (pd.Timestamp("2020-01-01 03:00"), pd.Timestamp("2020-01-01 01:00"), pd.Timestamp("2020-01-01 02:00")),
    ],
)
def test_times_follow_each_other(cells: Any) -> None:
    found = read_times(series(*cells))
    assert found.argmax() == 0
    assert len(set(found.tolist())) == 3


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(DataError, match="neither numbers nor dates"):
        read_times(series("a", "b"))
    with pytest.raises(DataError, match=r"no time for some rows \(the first is row 2\)"):
        read_times(series(1.5, None))
    assert read_times(series("01/02/2020", "03/01/2020"), "dmy").argmax() == 0
