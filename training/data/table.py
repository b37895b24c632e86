"""Builds a data set from any table: one target column, the others its features."""

import difflib
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chainzrule.service.artifact.features import CategoricalFeature, DateFormat, Feature, NumericFeature
from chainzrule.service.artifact.interface import Task
from chainzrule.service.naming import listed
from chainzrule.training.data.columns import (
    LONGEST_TEXT,
    CategoricalColumn,
    Column,
    Role,
    alike,
    blank_to_gap,
)
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.dates import read_columns
from chainzrule.training.data.errors import DataError, Problem, all_of
from chainzrule.training.data.features import OTHER, describe, encode, is_constant, opened, refuse_id
from chainzrule.training.data.fingerprint import fingerprint_frame
from chainzrule.training.data.leaks import copies, hints
from chainzrule.training.data.noise import check_float32_spacing
from chainzrule.training.data.roles import read_groups, read_times, read_weights
from chainzrule.training.data.split import split_rows
from chainzrule.training.data.tablefile import read_table
from chainzrule.training.data.target import read_target

__all__ = ["read_table", "table_dataset"]

Indices = NDArray[np.int64]
MOST_NOTES = 5  # on columns of one kind, before they are put together


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
    dates: Mapping[str, DateFormat] | None = None,
    target_unit: str | None = None,
    drop_unlabelled: bool = False,
    drop_unusable: bool = False,
    lenient: bool = False,
    weights: str | None = None,
    balanced: bool = False,
    groups: str | None = None,
    time: str | None = None,
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
        dates: how dates are written, by column, where that cannot be told from them.
        target_unit: of the target of a regression.
        drop_unlabelled: leave out the rows whose target is a gap, which are otherwise refused.
        drop_unusable: leave out the columns that cannot be used, which are otherwise refused.
        lenient: have the service take gaps and levels that the table has not, and read rows leniently.
        weights: the column that says how often each row counts; no feature, as are the next two.
        balanced: have rows count as often as makes all labels equally common.
        groups: the column whose equal values belong together, such as a patient's; they are held out together.
        time: the column that says when a row was; the latest fifth is held out.
        seed: the seed of the split.

    Returns:
        The data set, and notes for the user: how the task was found, how gaps and categories were read.

    Raises:
        DataError: names every column that cannot be used, one a line, with what to do.
    """
    frame = named(frame)
    roles = [name for name in (weights, groups, time) if name is not None]
    dates = dates or {}
    asked = {*_checked("categorical", categorical, frame), *_checked("numeric", numeric, frame)}
    if target in (*drop, *roles):
        raise DataError(f"column '{target}' is the target and cannot be dropped or be anything else")
    for option, names in (("target", [target]), ("units", units or {}), ("dates", dates)):
        _checked(option, names, frame)
    _checked("weights, groups and time", roles, frame)
    if both := sorted(set(categorical) & set(numeric)):
        raise DataError(f"column '{both[0]}' cannot be both categorical and numeric")
    frame = frame.drop(columns=_checked("drop", drop, frame))
    if frame.shape[1] == 1 + len(roles):
        raise DataError(f"the table has no column besides the target '{target}'")

    def described(rows: pd.DataFrame, train: Indices) -> tuple[list[Column], list[Feature], list[Problem]]:
        return _features(rows.drop(columns=[target, *roles]), train, set(categorical), set(numeric), units or {}, dates)

    try:
        labelled = _labelled(frame, target, drop_unlabelled)
        goal = read_target(labelled[target], task, levels)
        codes = goal.y.astype(np.int64) if goal.labels else None
        counted = read_weights(labelled[weights] if weights else None, codes if balanced else None)
        member = read_groups(labelled[groups]) if groups else None
        moments = read_times(labelled[time], dates.get(time)) if time else None
        train, test = split_rows(len(labelled), codes, seed, member, moments)
    except DataError as error:
        # The user hears of all problems at once.
        raise all_of([*error.problems, *described(frame, np.arange(len(frame)))[2]]) from None
    columns, features, problems = described(labelled, train)
    read = [column for column in columns if column.name not in asked]
    problems += copies(read, target, goal.y, bool(goal.labels))
    unusable = {problem.column for problem in problems}
    if problems and not drop_unusable:
        raise all_of(problems)
    kept = [place for place, column in enumerate(columns) if column.name not in unusable]
    columns, features = [columns[place] for place in kept], [features[place] for place in kept]
    if all(is_constant(column, train) for column in columns):
        what = f"no column varies in the rows to train on besides the target '{target}'"
        raise all_of([*problems, Problem(what)])
    if lenient:
        features = [opened(feature, column, train) for feature, column in zip(features, columns, strict=True)]
    x = np.hstack([encode(column, feature) for column, feature in zip(columns, features, strict=True)])
    rows = Rows(x, goal.y, counted, member)
    dataset = Dataset(
        task=goal.task,
        target=target,
        target_unit=target_unit,
        features=tuple(features),
        layout=None,
        labels=goal.labels,
        train=rows if test is None else rows.take(train),
        test=None if test is None else rows.take(test),
        fingerprint=fingerprint_frame(labelled),
        lenient=lenient,
    )
    left_out = len(frame) - len(labelled)
    notes = [goal.note, f"{left_out} rows without a target left out" if left_out else None]
    notes += map(_note, columns, features)
    notes += _constant([column.name for column in columns if is_constant(column, train)])
    notes += (note for name, note in hints(read, target, goal.y, bool(goal.labels)) if name not in unusable)
    notes += (f"left out: {problem.text}" for problem in problems)
    notes += (alike(labelled[name]) for name in labelled.columns)
    return dataset, tuple(note for note in notes if note)


def _features(
    frame: pd.DataFrame,
    train: NDArray[np.int64],
    categorical: set[str],
    numeric: set[str],
    units: Mapping[str, str],
    dates: Mapping[str, DateFormat],
) -> tuple[list[Column], list[Feature], list[Problem]]:
    """Returns all columns with their descriptions, and what is wrong with those that are not among them."""
    columns: list[Column] = []
    features: list[Feature] = []
    problems: list[Problem] = []
    for name in frame.columns:
        role: Role = "categorical" if name in categorical else "numeric" if name in numeric else "auto"
        try:
            found = read_columns(frame[name], role, dates.get(name))
            if role != "numeric":
                list(map(refuse_id, found))
            for column in found:
                is_constant(column, train)
            described = [describe(column, train, units.get(name)) for column in found]
            check_float32_spacing(described)
        except DataError as error:
            problems += [
                replace(
                    problem, column=name, flags=tuple(dict.fromkeys((*problem.flags, f"--drop {shlex.quote(name)}")))
                )
                for problem in error.problems
            ]
        else:
            columns += found
            features += described
    return columns, features, problems


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


def _checked(option: str, names: Collection[str], frame: pd.DataFrame) -> list[str]:
    """Returns names of columns, once it is known that there are such."""
    known: Sequence[str] = list(frame.columns)
    for name in names:
        if name not in known:
            lower = {column.lower(): column for column in known}
            close = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known[:20])}"
            raise DataError(f"{option}: no column is named '{name}'; {hint}")
    return list(names)


def _labelled(frame: pd.DataFrame, target: str, drop_unlabelled: bool) -> pd.DataFrame:
    gaps = frame[target].isna()
    count = int(gaps.sum())
    if count == len(frame):
        raise DataError(f"target '{target}' holds no value at all")
    if count and not drop_unlabelled:
        first = int(gaps.to_numpy(dtype=bool).argmax()) + 1
        raise DataError(
            f"target '{target}' has {count} gaps (the first in row {first}); fill them, or have those rows left out "
            "(drop_unlabelled)",
            "--drop-unlabelled",
        )
    return frame[~gaps].reset_index(drop=True) if count else frame


def _constant(names: Sequence[str]) -> list[str]:
    """Returns notes on columns that are constant in the rows to train on: one for each, or one for many."""
    what = "constant in the rows to train on, and"
    if len(names) > MOST_NOTES:
        return [f"{len(names)} columns are {what} have no influence: {listed(names)}"]
    return [f"column '{name}' is {what} has no influence" for name in names]


def _note(column: Column, feature: Feature) -> str | None:
    if isinstance(column, CategoricalColumn):
        gaps = int((column.codes < 0).sum())
        note = f"column '{column.name}': {len(column.levels)} categories" + (f" and {gaps} gaps" if gaps else "")
        merged = len(set(column.levels) - set(feature.levels)) if isinstance(feature, CategoricalFeature) else 0
        return note + (f"; the {merged} rarest are taken together as {OTHER}" if merged else "")
    if column.date is not None and column.date.part == "year":
        return f"column '{column.date.column}': dates ({column.date.format}), which become the numbers of their parts"
    if isinstance(feature, NumericFeature) and feature.fill is not None:
        gaps = int(np.isnan(column.values).sum())
        return f"column '{column.name}': {gaps} gaps, filled with the median {feature.fill:.6g}" if gaps else None
    return None
