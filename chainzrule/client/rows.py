"""Turns what people have into rows that JSON can hold: lists, dictionaries, numpy arrays and pandas DataFrames."""

from collections.abc import Mapping
from typing import Any


def rows_of(given: Any) -> list[Any]:
    """Returns rows as the service takes them: of a DataFrame by the columns' names, else in the order of the features.

    Raises:
        TypeError: the rows hold what JSON cannot.
        ValueError: a number is infinite.
    """
    if hasattr(given, "to_dict") and hasattr(given, "columns"):
        names = [str(name) for name in given.columns]
        columns = [[_plain(value) for value in given.iloc[:, at].tolist()] for at in range(len(names))]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    if hasattr(given, "tolist"):
        given = given.tolist()
    return [_row(row) for row in given]


def index_of(given: Any) -> Any:
    """Returns the index of a DataFrame, which the answer's frame has too; None of anything else."""
    return given.index if hasattr(given, "columns") and hasattr(given, "index") else None


def _row(row: Any) -> Any:
    if isinstance(row, Mapping):
        return {str(name): _plain(value) for name, value in row.items()}
    if hasattr(row, "tolist"):
        row = row.tolist()
    if isinstance(row, (str, bytes)) or not hasattr(row, "__iter__"):
        raise TypeError("rows are lists of values or dictionaries of them; put a single row into a list")
    return [_plain(value) for value in row]


def _plain(value: Any) -> Any:
    """Returns a value as JSON has it; NaN and pandas' NA and NaT are gaps."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if value != value:
            return None
        if value in (float("inf"), float("-inf")):
            raise ValueError("rows have an infinite number")
        return float(value)
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (list, tuple)):  # images are rows of rows
        return [_plain(part) for part in value]
    if hasattr(value, "item"):
        return _plain(value.item())
    raise TypeError(f"rows have a value of the type {type(value).__name__}, which JSON cannot hold")
