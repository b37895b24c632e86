"""Computes a sha256 over a data set's content, independent of its file's place and name."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from chainzrule.training.data.errors import DataError


def fingerprint_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """Returns the hash of arrays with their names, element types, shapes and values."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        _add_part(digest, name, array.dtype.name, array.shape)
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def fingerprint_file(path: Path) -> str:
    """Returns the hash of a file's bytes.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def fingerprint_frame(frame: pd.DataFrame) -> str:
    """Returns the hash of a table: column names, kinds and values, in order of columns and rows.

    Covered: every value, gaps, a category's order, the width of numbers (int32 and int64 differ). Not covered: path,
    format, compression, row index. CSV keeps no types, so the same table may differ between CSV and Parquet.
    """
    digest = hashlib.sha256()
    for name, column in frame.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            kept = column.cat.categories.tolist() if column.cat.ordered else []
            _add_part(digest, str(name), "category", [str(level) for level in kept])
            _add_text(digest, column)
        elif types.is_bool_dtype(column.dtype) or not types.is_numeric_dtype(column.dtype):
            # All text gets one name, because pandas' name for a text column differs between major versions.
            _add_part(digest, str(name), "text", column.shape)
            _add_text(digest, column)
        else:
            kind = str(column.dtype).lower()  # pandas' nullable Int64 holds the same numbers as int64
            gaps = column.isna().to_numpy(dtype=bool)
            filled = column.fillna(0) if gaps.any() else column
            _add_part(digest, str(name), kind, column.shape)
            digest.update(np.ascontiguousarray(filled.to_numpy(dtype=kind)).data)
            digest.update(np.packbits(gaps).data)  # gaps are hashed separately, because NaN has many bit patterns
    return digest.hexdigest()


def _add_part(digest: "hashlib._Hash", *facts: object) -> None:
    """Adds facts as JSON on a line of their own, so that no two different tables give the same stream."""
    digest.update(json.dumps(facts).encode() + b"\n")


def _add_text(digest: "hashlib._Hash", column: "pd.Series[str]") -> None:
    values = column.astype(object)
    _add_part(digest, [None if gap else str(value) for value, gap in zip(values, values.isna(), strict=True)])
