"""Converts rows as people have them in Python to rows as the service's encoder takes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.cells import column_of, values_of
from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.errors import InvalidInput


def instances_of(rows: Any, card: ModelCard) -> Sequence[Any] | NDArray[np.float64]:
    """Returns lists, dicts, a DataFrame's rows or a matrix, its gaps as None; raises `InvalidInput` for their shape."""
    if hasattr(rows, "columns"):
        return _of_frame(rows, card)
    if isinstance(rows, np.ndarray):
        if rows.ndim != 2:
            raise InvalidInput("must be a matrix of two dimensions", "rows")
        if rows.dtype.kind not in "iuf":
            return [list(row) for row in rows.tolist()]
        matrix = rows.astype(np.float64)
        gaps = np.isnan(matrix)
        return np.where(gaps, None, matrix).tolist() if gaps.any() else matrix  # type: ignore[call-overload]
    return [_plain(row) for row in rows]


def _of_frame(frame: Any, card: ModelCard) -> list[list[Any]]:
    """Returns the rows of a DataFrame's columns that the model takes, by name; other columns are ignored."""
    by_name = {str(column): frame[column] for column in frame.columns}
    features = list(card.inputs())
    named = [column_of(feature, by_name) for feature in features]
    missing = [feature.name for feature, name in zip(features, named, strict=True) if name is None]
    if missing:
        raise InvalidInput(f"has no column {', '.join(missing[:10])}", "rows")
    columns = []
    for feature, name in zip(features, named, strict=True):
        assert name is not None
        column = by_name[name]
        if hasattr(column, "notna"):  # pandas has several kinds of gaps
            column = column.astype(object).where(column.notna(), None)
        columns.append(values_of(column.to_list(), feature, name))
    return list(map(list, zip(*columns, strict=True)))


def _plain(row: Any) -> Any:
    """Returns a row with Python's types in place of numpy's."""
    if isinstance(row, dict):
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
    if isinstance(row, list | tuple | np.ndarray):
        return [value.item() if isinstance(value, np.generic) else value for value in row]
    return row
