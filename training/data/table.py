"""Builds a data set from any table: one target column, the others its features."""

import difflib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chainzrule.service.artifact.features import Feature, NumericFeature
from chainzrule.service.artifact.interface import Task
from chainzrule.training.data.columns import LONGEST_TEXT, CategoricalColumn, Column, Role, blank_to_gap, read_column
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.features import describe, encode, refuse_constant, refuse_id
from chainzrule.training.data.fingerprint import fingerprint_frame
from chainzrule.training.data.noise import check_float32_spacing
from chainzrule.training.data.split import split_rows
from chainzrule.training.data.tablefile import read_table
from chainzrule.training.data.target import read_target

__all__ = ["read_table", "table_dataset"]


def table_dataset(
    frame: pd.DataFrame,
    target: str,
    task: Task | None = None,
    *,
    levels: Sequence[str] = (),
    categorical: Collection[str] = (),
    numeric: Collection[str] = (),
    drop: Collection[str] = (),
    units: Mapping[str, str] | None = None,
    target_unit: str | None = None,
    drop_unlabelled: bool = False,
    seed: int = 0,
) -> tuple[Dataset, tuple[str, ...]]:
    """Builds a data set from a table; its row index is not used.

    A gap in a numeric column is filled with the training rows' median; in a categorical column it is a level of its
    own. Empty text is a gap. From 2,000 rows on a seeded fifth, stratified by class, is kept apart for the test.

    Args:
        frame: (rows, columns).
        target: the column to predict.
        task: inferred from the target where it is None.
        levels: of an ordinal target, lowest first, where its values have no order of their own.
        categorical: columns to read as levels although they hold numbers.
        numeric: columns to read as numbers although they look like an id or hold booleans.
        drop: columns to leave out.
        units: the units of numeric columns, by name.
        target_unit: of the target of a regression.
        drop_unlabelled: leave out the rows whose target is a gap, which are otherwise refused.
        seed: the seed of the split.

    Returns:
        The data set, and notes for the user: how the task was found, how gaps and categories were read.

    Raises:
        DataError: names every column that cannot be used, one a line, with what to do.
    """
    frame = named(frame)
    units = units or {}
    for option, names in (("target", [target]), ("categorical", categorical), ("numeric", numeric), ("drop", drop)):
        _check_names(option, names, frame)
    _check_names("units", units, frame)
    if target in drop:
        raise DataError(f"column '{target}' is the target and cannot be dropped")
    if both := sorted(set(categorical) & set(numeric)):
        raise DataError(f"column '{both[0]}' cannot be both categorical and numeric")
    frame, unlabelled = _labelled(frame.drop(columns=list(drop)), target, drop_unlabelled)
    if frame.shape[1] < 2:
        raise DataError(f"the table has no column besides the target '{target}'")

    goal = read_target(frame[target], task, levels)
    train, test = split_rows(len(frame), goal.y.astype(np.int64) if goal.labels else None, seed)
    columns, features = _features(frame.drop(columns=target), train, set(categorical), set(numeric), units)
    check_float32_spacing(features)
    x = np.hstack([encode(column, feature) for column, feature in zip(columns, features, strict=True)])
    rows = Rows(x, goal.y)
    dataset = Dataset(
        task=goal.task,
        target=target,
        target_unit=target_unit,
        features=tuple(features),
        layout=None,
        labels=goal.labels,
        train=rows if test is None else rows.take(train),
        test=None if test is None else rows.take(test),
        fingerprint=fingerprint_frame(frame),
    )
    notes = [goal.note, *map(_note, columns, features)]
    if unlabelled:
        notes.insert(1, f"{unlabelled} rows without a target left out")
    return dataset, tuple(note for note in notes if note)


def _features(
    frame: pd.DataFrame,
    train: NDArray[np.int64],
    categorical: set[str],
    numeric: set[str],
    units: Mapping[str, str],
) -> tuple[list[Column], list[Feature]]:
    """Reads and describes every column before it raises, so that the user hears of all problems at once."""
    columns, features, problems = [], [], []
    for name in frame.columns:
        role: Role = "categorical" if name in categorical else "numeric" if name in numeric else "auto"
        try:
            column = read_column(frame[name], role)
            if role != "numeric":
                refuse_id(column)
            refuse_constant(column, train)
            features.append(describe(column, train, units.get(name)))
            columns.append(column)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))
    return columns, features


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the frame with text for column names, rows counted from 0, and gaps in place of empty text.

    Raises:
        DataError: no rows, or a column name that is empty, too long or not the only one.
    """
    if frame.empty:
        raise DataError("the table has no rows")
    names = [str(name) for name in frame.columns]
    for name in names:
        if not 0 < len(name) <= LONGEST_TEXT:
            raise DataError(f"column '{name[:40]}' needs a name of 1 to {LONGEST_TEXT} characters")
        if names.count(name) > 1:
            raise DataError(f"column '{name}' occurs more than once; give each its own name")
    return frame.set_axis(names, axis=1).reset_index(drop=True).apply(blank_to_gap)


def _check_names(option: str, names: Collection[str], frame: pd.DataFrame) -> None:
    known: Sequence[str] = list(frame.columns)
    for name in names:
        if name not in known:
            lower = {column.lower(): column for column in known}
            close = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known[:20])}"
            raise DataError(f"{option}: no column is named '{name}'; {hint}")


def _labelled(frame: pd.DataFrame, target: str, drop_unlabelled: bool) -> tuple[pd.DataFrame, int]:
    gaps = frame[target].isna()
    count = int(gaps.sum())
    if count == len(frame):
        raise DataError(f"target '{target}' holds no value at all")
    if count and not drop_unlabelled:
        first = int(gaps.to_numpy(dtype=bool).argmax()) + 1
        raise DataError(
            f"target '{target}' has {count} gaps (the first in row {first}); fill them, or have those rows left out "
            "(drop_unlabelled)"
        )
    return (frame[~gaps].reset_index(drop=True), count) if count else (frame, 0)


def _note(column: Column, feature: Feature) -> str | None:
    if isinstance(column, CategoricalColumn):
        gaps = int((column.codes < 0).sum())
        return f"column '{column.name}': {len(column.levels)} categories" + (f" and {gaps} gaps" if gaps else "")
    if isinstance(feature, NumericFeature) and feature.fill is not None:
        gaps = int(np.isnan(column.values).sum())
        return f"column '{column.name}': {gaps} gaps, filled with the median {feature.fill:.6g}"
    return None
