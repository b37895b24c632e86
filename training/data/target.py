"""Reads the column to predict: its task, its labels, and whether it can be learnt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import MAX_SCORES, Task
from chainzrule.training.data.columns import CategoricalColumn, NumericColumn, Role, read_column
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.noise import NOISE_SHARE, spacing_problem

MOST_INTEGER_CLASSES = 20  # whole numbers with more distinct values than this are taken as a quantity
LEAST_STD, MOST_STD = 1e-15, 1e15  # within these, variances fit in float32 with room to spare
FOLDS = 5  # out-of-fold scoring needs a row of every class in each


@dataclass(frozen=True)
class Target:
    """Holds the target; `y` is (rows,) int64 label indices or float32 values.

    `note` says how the task was found.
    """

    task: Task
    labels: tuple[str, ...]
    y: NDArray[np.int64] | NDArray[np.float32]
    note: str


def read_target(
    column: "pd.Series[Any]", task: Task | None = None, levels: Sequence[str] = (), learnt: bool = True
) -> Target:
    """Reads the target, which has no gaps; `task` is inferred where it is None.

    Text, booleans, categories and whole numbers of at most 20 distinct values make a classification, other numbers a
    regression. Nothing is inferred to be ordinal. `levels` orders an ordinal target's labels, lowest first. Labels that
    are not to be learnt, because a model is there already, may be few.

    Raises:
        DataError: what the column holds does not fit the task, or is too little to learn from.
    """
    role: Role = "auto" if task is None else "numeric" if task == "regression" else "categorical"
    read = read_column(column, role)
    note = f"task {task}, as asked for"
    if task is None:
        task, why = _infer(read)
        note = f"task {task}, because the target '{read.name}' {why}"
        if task == "classification":
            read = read_column(column, "categorical")
    if isinstance(read, NumericColumn):
        check_quantity(read.name, read.values)
        return Target("regression", (), read.values.astype(np.float32), note)
    if task == "ordinal":
        read = _ordered(read, levels)
    remedy = "; if it is a quantity, ask for a regression" if note.endswith("whole numbers") else ""
    if learnt:
        check_labels(read.name, task, read.levels, read.codes, remedy)
    return Target(task, read.levels, read.codes, note)


def _ordered(read: CategoricalColumn, levels: Sequence[str]) -> CategoricalColumn:
    """Returns the labels in the order that was given, or else in their own."""
    if not levels:
        if not read.ordered:
            raise DataError(
                f"target '{read.name}' has labels without an order; name them from low to high (levels), or make them "
                "whole numbers or an ordered category"
            )
        return read
    if len(set(levels)) != len(levels):
        raise DataError(f"levels of the target '{read.name}' repeat; name each once, from low to high")
    for level in read.levels:
        if level not in levels:
            raise DataError(f"target '{read.name}' has the label '{level[:40]}', which is none of the levels given")
    for level in levels:
        if level not in read.levels:
            raise DataError(f"level '{level[:40]}' of the target '{read.name}' occurs in no row; leave it out")
    places = np.array([levels.index(level) for level in read.levels], dtype=np.int64)
    return CategoricalColumn(read.name, places[read.codes], tuple(levels), ordered=True)


def _infer(read: NumericColumn | CategoricalColumn) -> tuple[Task, str]:
    if isinstance(read, CategoricalColumn):
        return "classification", f"holds {len(read.levels)} categories"
    distinct = np.unique(read.values)
    if len(distinct) <= MOST_INTEGER_CLASSES and np.array_equal(distinct, np.round(distinct)):
        return "classification", f"holds only {len(distinct)} distinct whole numbers"
    return "regression", f"holds {len(distinct)} distinct numbers"


def check_labels(name: str, task: Task, labels: tuple[str, ...], codes: NDArray[np.int64], remedy: str = "") -> None:
    """Refuses labels that are too few to tell apart or to be measured out of fold.

    Args:
        name: the target's.
        task: classification or ordinal.
        labels: what the codes stand for.
        codes: (rows,) label indices.
        remedy: what else could be done, said where there are too many labels for the rows.

    Raises:
        DataError: one label only, more than the card admits, or fewer than five rows of one.
    """
    rows = len(codes)
    if len(labels) < 2:
        raise DataError(f"target '{name}' has one class only ('{labels[0]}'); there is nothing to predict")
    if len(labels) > MAX_SCORES:
        raise DataError(f"target '{name}' has {len(labels)} classes; at most {MAX_SCORES} can be told apart")
    if rows < FOLDS * len(labels):
        raise DataError(
            f"target '{name}' has {rows} rows for {len(labels)} classes; each class needs {FOLDS} rows{remedy}"
        )
    counts = np.bincount(codes, minlength=len(labels))
    if rare := [f"'{label}' ({count})" for label, count in zip(labels, counts, strict=True) if count < FOLDS]:
        raise DataError(
            f"target '{name}' has classes of fewer than {FOLDS} rows: {', '.join(rare[:8])}; add rows, merge the "
            f"classes or remove them{remedy}"
        )
    if task == "ordinal" and len(labels) < 3:
        raise DataError(f"target '{name}' has two labels; an ordinal task needs three, so ask for a classification")


def check_quantity(name: str, values: NDArray[np.floating]) -> None:
    """Refuses numbers that cannot be learnt or cannot be measured out of fold.

    Raises:
        DataError: too few, all the same, or beyond what float32 carries.
    """
    if len(values) < 2 * FOLDS:
        raise DataError(f"target '{name}' has {len(values)} rows; a regression needs {2 * FOLDS}")
    if values.min() == values.max():
        raise DataError(f"target '{name}' has the same value in every row; there is nothing to predict")
    std = float(values.std(dtype=np.float64))
    if not LEAST_STD <= std <= MOST_STD:
        raise DataError(
            f"target '{name}' has a standard deviation of {std:.3g}, not one from {LEAST_STD:g} to {MOST_STD:g}, "
            "whose square float32 carries; change the target's unit"
        )
    if problem := spacing_problem(float(np.abs(values).max()), NOISE_SHARE * std):
        raise DataError(f"target '{name}' {problem}")
