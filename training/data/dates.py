"""Reads a table's column of dates as its parts, which are numbers, and any other column as itself."""

import datetime
import shlex
from typing import Any, get_args

import numpy as np
import pandas as pd
from pandas.api import types

from chainzrule.service.artifact.features import DateFormat, DatePart, DateSource
from chainzrule.service.runtime.dates import form_of, moment_in, part_of
from chainzrule.training.data.columns import Column, NumericColumn, Role, read_column
from chainzrule.training.data.errors import DataError

PARTS: tuple[DatePart, ...] = get_args(DatePart)
FIRST, LAST, FEWEST_DATES = 19_000_101, 21_001_231, 5
MOST_TRIED = 1000  # distinct texts that decide on the format


def read_columns(column: "pd.Series[Any]", role: Role = "auto", form: DateFormat | None = None) -> list[Column]:
    """Returns what a table's column is for a model: the parts of its dates that vary, or the column itself.

    Args:
        column: one column of a table.
        role: as in `read_column`.
        form: how its dates are written; found out where it is None, and the column is to be read by what it holds.

    Raises:
        DataError: dates that are not all of the format, or whose day and month cannot be told apart.
    """
    if form is None and role != "auto":
        return [read_column(column, role)]
    numbers = types.is_numeric_dtype(column.dtype)
    written = as_written(column) if form is not None or not numbers else column
    form = form or (None if numbers else _format(written))
    if form is None:
        found = read_column(column, role)
        _refuse_compact(found)
        return [found]
    sources = [DateSource(column=str(column.name), format=form, part=part) for part in PARTS]
    return list(_varying([part_column(written, source) for source in sources]))


def part_column(column: "pd.Series[Any]", source: DateSource) -> NumericColumn:
    """Returns one part of a column's dates, with NaN for gaps.

    Raises:
        DataError: a cell that is no date of the format.
    """
    found = {text: moment_in(_plain(text), source.format) for text in column.dropna().drop_duplicates()}
    if odd := [text for text, moment in found.items() if moment is None]:
        raise DataError(
            f"column '{source.column}' holds '{str(odd[0])[:40]}', which is no date as {form_of(source.format)}",
            f"--na={shlex.quote(str(odd[0]))}",
            column=source.column,
        )
    parts = {text: part_of(moment, source.part) for text, moment in found.items() if moment is not None}
    values = np.array([parts.get(text, np.nan) for text in column], dtype=np.float64)
    return NumericColumn(f"{source.column}.{source.part}", values, source)


def _varying(columns: list[NumericColumn]) -> list[NumericColumn]:
    found = [column for column in columns if len(np.unique(column.values[~np.isnan(column.values)])) > 1]
    return found or columns[:1]


def as_written(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Returns a column with its date objects as ISO texts, and None for gaps."""
    values = column.astype(object)
    values = values.where(values.notna(), None)
    return values.map(lambda cell: cell.isoformat() if isinstance(cell, datetime.date) else cell)


def _plain(cell: Any) -> Any:
    """Returns a whole number as Python's: dates may be written as such."""
    return int(cell) if isinstance(cell, float | np.integer | np.floating) and float(cell).is_integer() else cell


def _refuse_compact(column: Column) -> None:
    """Refuses numbers all of which are dates such as 20201231, which would be a strange quantity.

    Raises:
        DataError: they are.
    """
    if not isinstance(column, NumericColumn) or not FIRST <= np.nanmin(column.values) <= LAST:
        return
    known = np.unique(column.values[~np.isnan(column.values)])
    if len(known) < FEWEST_DATES or known[-1] > LAST or not (known % 1 == 0).all():
        return
    if all(moment_in(int(number), "ymd") is not None for number in known):
        raise DataError(
            f"column '{column.name}' holds dates written as {int(known[0])}; read them as dates, or name the column as "
            "numeric",
            f"--date {shlex.quote(f'{column.name}=ymd')}",
            f"--numeric {shlex.quote(column.name)}",
            column=column.name,
        )


def _format(written: "pd.Series[Any]") -> DateFormat | None:
    """Returns how all texts of a column are written that are dates; None where they are none."""
    texts = written.dropna().drop_duplicates().head(MOST_TRIED).tolist()
    if not texts or not all(isinstance(text, str) for text in texts):
        return None
    forms: tuple[DateFormat, ...] = get_args(DateFormat)
    fitting = [form for form in forms if all(moment_in(text, form) is not None for text in texts)]
    if "ymd" in fitting and all(text.strip().isdecimal() for text in texts):
        return None  # eight digits are a number, or a code, unless something else is said
    if len(fitting) > 1:
        name = str(written.name)
        raise DataError(
            f"column '{name}' holds dates whose day and month cannot be told apart ('{texts[0]}'); say which is first",
            *(f"--date {shlex.quote(f'{name}={form}')}" for form in fitting),
            column=name,
        )
    return fitting[0] if fitting else None
