"""Reads features as Python callers hold them, a matrix or a table, for a fit and for a fitted model."""

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chainzrule.service.artifact.features import CategoricalFeature, Feature, NumericFeature
from chainzrule.training.data.columns import (
    FLOAT32_LIMIT,
    CategoricalColumn,
    Column,
    NumericColumn,
    Role,
    blank_to_gap,
    read_column,
)
from chainzrule.training.data.dates import as_written, part_column, read_columns
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.features import encode, refuse_id
from chainzrule.training.data.table import named


def as_frame(X: Any) -> Any:
    """Returns a table of polars or Arrow, or a column of one, as pandas has it; all else unchanged."""
    if isinstance(X, pd.DataFrame | pd.Series | np.ndarray):
        return X
    if hasattr(X, "collect"):  # a lazy frame
        X = X.collect()
    return X.to_pandas() if hasattr(X, "to_pandas") else X


def matrix_columns(matrix: NDArray[np.float64], names: Sequence[str]) -> list[Column]:
    """Returns the columns of a matrix, all of them numeric, with NaN for gaps.

    Raises:
        DataError: numbers beyond float32.
    """
    if matrix.shape[1] != len(names):
        raise DataError("X has dates, whose parts are several columns; give it as a DataFrame, as in training")
    if (np.abs(matrix[~np.isnan(matrix)]) > FLOAT32_LIMIT).any():
        raise DataError("X holds infinity or a value too large for float32; rescale the column")
    return [NumericColumn(name, matrix[:, place]) for place, name in enumerate(names)]


def table_columns(frame: pd.DataFrame, categorical: Collection[str], numeric: Collection[str]) -> list[Column]:
    """Returns the columns of a table to fit to, read as `chainzrule.training.data.table` reads them.

    Args:
        frame: (rows, columns).
        categorical: columns to read as levels although they hold numbers.
        numeric: columns to read as numbers although they look like an id or hold booleans.

    Raises:
        DataError: names every column that cannot be used, one a line, with what to do.
    """
    frame = named(frame)
    known = list(frame.columns)
    for option, names in (("categorical", categorical), ("numeric", numeric)):
        if unknown := sorted(set(names) - set(known)):
            raise DataError(f"{option}: no column is named '{unknown[0]}'; there are {', '.join(known[:20])}")
    columns: list[Column] = []
    problems = []
    for name in known:
        role: Role = "categorical" if name in categorical else "numeric" if name in numeric else "auto"
        try:
            found = read_columns(frame[name], role)
            if role != "numeric":
                list(map(refuse_id, found))
            columns += found
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))
    return columns


def encode_columns(columns: Sequence[Column], features: Sequence[Feature]) -> NDArray[np.float32]:
    """Returns (rows, D) float32 as the graphs take it: raw units, gaps filled, one-hot blocks.

    Raises:
        DataError: a gap where training saw none, or a level that it did not see.
    """
    for column, feature in zip(columns, features, strict=True):
        if isinstance(column, NumericColumn):
            if isinstance(feature, CategoricalFeature):
                raise DataError(f"column '{column.name}' is a category; give X as a DataFrame, as in training")
            gaps, unknown = bool(np.isnan(column.values).any()), []
        else:
            assert isinstance(feature, CategoricalFeature)
            gaps = bool((column.codes < 0).any())
            unknown = [] if feature.other else [level for level in column.levels if level not in feature.levels]
        if gaps and feature.fill is None:
            raise DataError(f"column '{column.name}' has gaps (NaN), and there were none in training; fill them")
        if unknown:
            raise DataError(f"column '{column.name}' holds '{unknown[0][:40]}', a level that was not in training")
    return np.hstack([encode(column, feature) for column, feature in zip(columns, features, strict=True)])


def rows_of(frame: pd.DataFrame, features: Sequence[Feature]) -> NDArray[np.float32]:
    """Returns a table's (rows, D) input for a model of these features, whose columns it has in that order.

    Raises:
        DataError: a column that is not of its feature's kind, an unexpected gap, an unknown level.
    """
    columns: list[Column] = []
    for place, group in enumerate(_sources(features)):
        feature = group[0]
        values = blank_to_gap(frame.iloc[:, place].reset_index(drop=True))
        if values.isna().all():
            columns += [_empty(feature, len(values)) for feature in group]
        elif isinstance(feature, NumericFeature) and feature.date is not None:
            written = as_written(values)
            columns += [part_column(written, part.date) for part in group]  # type: ignore[union-attr, arg-type]
        else:
            role: Role = "numeric" if isinstance(feature, NumericFeature) else "categorical"
            columns.append(read_column(values.rename(feature.name), role))
    return encode_columns(columns, features)


def _sources(features: Sequence[Feature]) -> list[tuple[Feature, ...]]:
    """Returns the features that each column of a table becomes; of a date, its parts."""

    def column(feature: Feature) -> str:
        date = feature.date if isinstance(feature, NumericFeature) else None
        return feature.name if date is None else date.column

    return [tuple(group) for _, group in groupby(features, column)]


def _empty(feature: Feature, rows: int) -> Column:
    """Returns a column of nothing but gaps, in the kind that the feature has."""
    if isinstance(feature, NumericFeature):
        return NumericColumn(feature.name, np.full(rows, np.nan))
    return CategoricalColumn(feature.name, np.full(rows, -1, np.int64), (), ordered=False)
