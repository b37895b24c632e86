"""Columns that give the target away are named, and honest ones are not."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.training.data.columns import CategoricalColumn, Column, NumericColumn
from chainzrule.training.data.leaks import copies, hints

RANDOM = np.random.default_rng(0)
Y = RANDOM.normal(size=100)
LABELS = RANDOM.integers(0, 3, 100)


def numbers(values: Any, name: str = "c") -> NumericColumn:
    return NumericColumn(name, np.asarray(values, np.float64))


def words(codes: Any) -> CategoricalColumn:
    codes = np.asarray(codes, np.int64)
    return CategoricalColumn("c", codes, tuple(map(str, range(int(codes.max()) + 1))), ordered=False)


def holed(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.where(np.arange(100) % 9 == 0, np.nan, values)


@pytest.mark.parametrize(
    ("column", "y", "labels"),
    [
        (numbers(Y), Y, False),
        (numbers(32 + 1.8 * Y), Y, False),
        (numbers(-Y), Y.astype(np.float32), False),
        (numbers(holed(Y)), Y, False),
        (words(LABELS), LABELS, True),
        (words((LABELS + 1) % 3), LABELS, True),
        (numbers(LABELS * 7.5), LABELS, True),
    ],
)
def test_a_copy_is_named(column: Column, y: NDArray[Any], labels: bool) -> None:
    (problem,) = copies([numbers(RANDOM.normal(size=100), "fair"), column], "y", y, labels)
    assert problem.text.startswith("column 'c' is a copy of the target 'y'")
    assert (problem.column, problem.flags) == ("c", ("--drop c",))


@pytest.mark.parametrize(
    ("column", "y", "labels"),
    [
        (numbers(Y + 1e-3 * RANDOM.normal(size=100)), Y, False),
        (numbers(Y**3), Y, False),
        (numbers(np.ones(100)), Y, False),
        (words(np.arange(100)), Y, False),
        (words(np.where(LABELS == 2, 1, LABELS)), LABELS, True),
        (words(np.r_[(LABELS[:99] + 0), (LABELS[99] + 1) % 3]), LABELS, True),
        (numbers(holed(LABELS)), LABELS, True),
    ],
)
def test_what_is_only_like_the_target_is_no_copy(column: Column, y: NDArray[Any], labels: bool) -> None:
    assert list(copies([column], "y", y, labels)) == []


@pytest.mark.parametrize(
    ("column", "y", "labels"),
    [
        (numbers(Y > 0.1), Y, False),
        (words(np.digitize(Y, [-0.5, 0.5])), Y, False),
        (numbers(Y), (Y > 0.2).astype(np.int64), True),
        (numbers(-Y), np.digitize(Y, [-0.5, 0.5]), True),
    ],
)
def test_what_the_target_was_cut_from_or_into_is_said(column: Column, y: NDArray[Any], labels: bool) -> None:
    ((name, note),) = hints([column], "y", y, labels)
    assert name == "c"
    assert note.endswith("--drop c")


@pytest.mark.parametrize(
    ("column", "y", "labels"),
    [
        (numbers(Y + 0.1 * RANDOM.normal(size=100) > 0.1), Y, False),
        (numbers(np.ones(100)), Y, False),
        (numbers(holed((Y > 0) * 1.0)), Y, False),
        (numbers(np.sort(Y)[-4] < Y), Y, False),  # four rows may be so by chance
        (numbers(RANDOM.normal(size=100)), (Y > 0).astype(np.int64), True),
        (words(LABELS), LABELS, True),
    ],
)
def test_an_honest_column_is_let_pass(column: Column, y: NDArray[Any], labels: bool) -> None:
    assert list(hints([column], "y", y, labels)) == []
