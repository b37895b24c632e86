"""Whatever people have becomes rows that JSON can hold."""

import datetime
from typing import Any

import numpy as np
import pytest

from chainzrule.client.rows import index_of, rows_of


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        ([[1, 2.5, "a", None, True]], [[1, 2.5, "a", None, True]]),
        (((1, 2), (3, 4)), [[1, 2], [3, 4]]),
        ([{"a": 1, "b": np.float32(2.5)}], [{"a": 1, "b": 2.5}]),
        (np.array([[1.5, np.nan]]), [[1.5, None]]),
        ([np.array([1, 2])], [[1, 2]]),
        ([[np.int64(3), float("nan")]], [[3, None]]),
        ([[datetime.date(2026, 11, 28)]], [["2026-11-28"]]),
        ([[[1, 2], [3, 4]]], [[[1, 2], [3, 4]]]),
        ((row for row in [[1], [2]]), [[1], [2]]),
    ],
    ids=range(9),
)
def test_rows_become_lists_and_dictionaries(given: Any, rows: list[Any]) -> None:
    assert rows_of(given) == rows


@pytest.mark.parametrize("given", [[1, 2], ["abc"], [b"abc"], [[object()]], 7])
def test_what_is_no_row_is_said(given: Any) -> None:
    with pytest.raises(TypeError):
        rows_of(given)


def test_infinite_numbers_are_said() -> None:
    with pytest.raises(ValueError, match="infinite"):
        rows_of([[float("inf")]])


def test_frames_are_rows_by_name() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "age": [1, 2],
            "weight": [1.5, None],
            "colour": pd.Categorical(["red", None]),
            "count": pd.array([1, None], dtype="Int64"),
            "seen": pd.to_datetime(["2026-11-28", None]),
        },
        index=["x", "y"],
    )
    assert rows_of(frame) == [
        {"age": 1, "weight": 1.5, "colour": "red", "count": 1, "seen": "2026-11-28T00:00:00"},
        {"age": 2, "weight": None, "colour": None, "count": None, "seen": None},
    ]
    assert list(index_of(frame)) == ["x", "y"]
    assert index_of([[1]]) is None
    assert index_of(np.ones((1, 1))) is None
