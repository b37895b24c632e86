"""What a column is read as; `test_table.py` has what is refused, by the name of its column."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chainzrule.training.data.columns import (
    FLOAT32_LIMIT,
    CategoricalColumn,
    NumericColumn,
    Role,
    blank_to_gap,
    read_column,
)
from chainzrule.training.data.errors import DataError

NAN = float("nan")


def numbers(values: Any, role: Role = "auto") -> list[float]:
    read = read_column(pd.Series(values, name="c"), role)
    assert isinstance(read, NumericColumn)
    assert (read.name, read.values.dtype) == ("c", np.float64)
    return list(read.values.tolist())


def levels(values: Any, role: Role = "auto") -> tuple[tuple[str, ...], list[int], bool]:
    read = read_column(pd.Series(values, name="c"), role)
    assert isinstance(read, CategoricalColumn)
    assert (read.name, read.codes.dtype) == ("c", np.int64)
    return read.levels, read.codes.tolist(), read.ordered


@pytest.mark.parametrize(
    ("values", "role", "expected"),
    [
        ([1, 2, 3], "auto", [1, 2, 3]),
        ([1.5, None, 3], "auto", [1.5, NAN, 3]),
        (pd.array([1, None, 3], "Int64"), "auto", [1, NAN, 3]),
        (pd.Series([Decimal("1.25"), 2, None], dtype=object), "auto", [1.25, 2, NAN]),
        ([True, False, True], "numeric", [1, 0, 1]),
        (pd.Series([2, 1], dtype="category"), "numeric", [2, 1]),
        ([FLOAT32_LIMIT, -FLOAT32_LIMIT], "auto", [FLOAT32_LIMIT, -FLOAT32_LIMIT]),
    ],
)
def test_numbers_are_read_as_they_are_and_gaps_as_nan(values: Any, role: Role, expected: list[float]) -> None:
    np.testing.assert_array_equal(numbers(values, role), expected)


@pytest.mark.parametrize(
    ("values", "role", "expected"),
    [
        (["b", None, "a", "b"], "auto", (("a", "b"), [1, -1, 0, 1], False)),
        (["é", "z", "E"], "auto", (("E", "z", "é"), [2, 1, 0], False)),
        ([True, False], "auto", (("false", "true"), [1, 0], False)),
        ([10, 9, 2.5, None], "categorical", (("2.5", "9", "10"), [2, 1, 0, -1], True)),
        ([1, "1", "x"], "categorical", (("1", "x"), [0, 0, 1], False)),
        (pd.Series([2, 1, 2], dtype="category"), "auto", (("1", "2"), [1, 0, 1], True)),
        (pd.Categorical(["M", "S", None], ["S", "M", "L"], ordered=True), "auto", (("S", "M"), [1, 0, -1], True)),
        (pd.Categorical(["M", "S"], ["S", "M"], ordered=False), "auto", (("M", "S"), [0, 1], False)),
    ],
)
def test_levels_are_sorted_unless_they_have_an_order(
    values: Any, role: Role, expected: tuple[tuple[str, ...], list[int], bool]
) -> None:
    assert levels(values, role) == expected


def test_the_first_bad_row_is_counted_from_one() -> None:
    with pytest.raises(DataError, match=r"holds 2 numbers that are infinite \(the first in row 2\)"):
        read_column(pd.Series([0.0, np.inf, -np.inf], name="c"))
    with pytest.raises(DataError, match=r"holds 1 numbers that are beyond float32 \(the first in row 3\)"):
        read_column(pd.Series([0.0, 1.0, 1.001 * FLOAT32_LIMIT], name="c"))


def test_the_longest_level_is_256_characters() -> None:
    assert levels(["a" * 256, "b"])[0] == ("a" * 256, "b")
    with pytest.raises(DataError, match="longer than 256"):
        levels(["a" * 257, "b"])


def test_words_that_only_look_like_numbers_in_places_are_levels() -> None:
    assert levels(["3rd", "2nd"])[0] == ("2nd", "3rd")
    assert levels(["on 2020-01-01", "12:30 o'clock"])[0] == ("12:30 o'clock", "on 2020-01-01")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "", " \t", None], ["a", None, None, None]),
        (pd.Categorical(["a", " ", "a"]), ["a", None, "a"]),
        ([1.5, 2.0, None], [1.5, 2.0, None]),
        (pd.Series([1, "", True], dtype=object), [1, None, True]),
    ],
)
def test_empty_text_is_a_gap(values: Any, expected: list[Any]) -> None:
    found = blank_to_gap(pd.Series(values))
    assert [None if pd.isna(value) else value for value in found] == expected
