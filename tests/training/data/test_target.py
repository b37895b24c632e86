"""The column to predict; `test_table.py` has what is refused, by the name of its column."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from chainzrule.service.artifact.interface import Task
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.target import Target, check_labels, check_quantity, read_target


def read(values: Any, task: Task | None = None, **options: Any) -> Target:
    return read_target(pd.Series(values, name="goal"), task, **options)


@pytest.mark.parametrize(
    ("values", "task", "labels"),
    [
        (list(range(20)) * 5, "classification", 20),
        (list(range(21)) * 5, "regression", 0),
        ([0.0, 1.0] * 10, "classification", 2),
        ([0.5, 1.0] * 10, "regression", 0),
        (["a", "b", "c"] * 10, "classification", 3),
    ],
)
def test_the_task_is_inferred(values: Any, task: Task, labels: int) -> None:
    found = read(values)
    assert (found.task, len(found.labels)) == (task, labels)
    assert found.note.startswith(f"task {task}, because the target 'goal' holds ")
    assert found.y.dtype == (np.float32 if task == "regression" else np.int64)


def test_labels_are_indices_in_their_order() -> None:
    found = read([10, 9, 10, 9, 2] * 5)
    assert found.labels == ("2", "9", "10")
    assert found.y.tolist() == [2, 1, 2, 1, 0] * 5
    assert read([1.5, 2.5] * 5).y.tolist() == [1.5, 2.5] * 5


def test_levels_that_are_given_order_the_labels() -> None:
    found = read(["low", "high", "mid"] * 5, "ordinal", levels=["low", "mid", "high"])
    assert (found.labels, found.y.tolist()) == (("low", "mid", "high"), [0, 2, 1] * 5)
    assert read([3, 1, 2] * 5, "ordinal").labels == ("1", "2", "3")


def test_labels_that_are_not_learnt_may_be_few() -> None:
    assert read(["a"] * 3, "classification", learnt=False).labels == ("a",)
    with pytest.raises(DataError, match="one class only"):
        read(["a"] * 3, "classification")


def test_labels_need_five_rows_each_and_may_be_64() -> None:
    check_labels("goal", "classification", ("a", "b"), np.array([0] * 5 + [1] * 5))
    with pytest.raises(DataError, match=r"fewer than 5 rows: 'b' \(4\); .*; or else"):
        check_labels("goal", "classification", ("a", "b"), np.array([0] * 6 + [1] * 4), "; or else")
    with pytest.raises(DataError, match="9 rows for 2 classes; each class needs 5 rows; or else"):
        check_labels("goal", "classification", ("a", "b"), np.array([0] * 5 + [1] * 4), "; or else")
    names = tuple(map(str, range(65)))
    check_labels("goal", "classification", names[:64], np.arange(64).repeat(5))
    with pytest.raises(DataError, match="65 classes; at most 64"):
        check_labels("goal", "classification", names, np.arange(65).repeat(5))
    check_labels("goal", "ordinal", names[:3], np.arange(3).repeat(5))
    with pytest.raises(DataError, match="an ordinal task needs three"):
        check_labels("goal", "ordinal", names[:2], np.arange(2).repeat(5))


def test_quantities_need_ten_rows_and_a_spread_that_float32_carries() -> None:
    values = np.linspace(-1.0, 1.0, 10)
    check_quantity("goal", values)
    for bad, message in (
        (values[:9], "has 9 rows; a regression needs 10"),
        (np.ones(10), "same value in every row"),
        (2e15 * values, "standard deviation of 1.28e"),
        (1e-15 * values, "standard deviation of 6.38e-16"),
        (1e9 + values, "float32 moves in steps of 64"),
    ):
        with pytest.raises(DataError, match=message):
            check_quantity("goal", bad)
    check_quantity("goal", 1.5e15 * values)
    check_quantity("goal", 1.6e-15 * values)
