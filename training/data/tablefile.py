"""Reads tables from files: CSV (plain or gzipped) and Parquet."""

import csv
import gzip
import warnings
import zlib
from collections import Counter
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow

from chainzrule.training.data.errors import DataError

SEPARATORS = ",;\t|"
CSV_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")


def read_table(path: Path) -> pd.DataFrame:
    """Reads a CSV or Parquet file; a CSV file is UTF-8 with a header and separated by comma, semicolon, tab or bar.

    Empty fields and pandas' usual marks (NA, N/A, NaN, null, None) are gaps. A Parquet file's row index is left out.

    Raises:
        DataError: no such file, an unknown kind, empty, undecodable, ragged, without a header or with a repeated name.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    name = path.name.lower()
    if not name.endswith(CSV_SUFFIXES + PARQUET_SUFFIXES):
        raise DataError(f"{path}: neither CSV nor Parquet by its name ({', '.join(CSV_SUFFIXES + PARQUET_SUFFIXES)})")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    try:
        frame = _read_csv(path) if name.endswith(CSV_SUFFIXES) else pd.read_parquet(path)
    except DataError:
        raise
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; save it in that encoding") from error
    except (
        ValueError,
        OSError,
        EOFError,
        csv.Error,
        zlib.error,
        pd.errors.ParserWarning,
        pyarrow.ArrowException,
    ) as error:
        raise DataError(f"{path}: cannot be read ({str(error).strip()})") from error
    if frame.empty:
        raise DataError(f"{path}: the table has no rows")
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    with _open(path) as stream:
        first = stream.readline()
        separator = max(SEPARATORS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
        stream.seek(0)
        _check_header(next(csv.reader(stream, delimiter=separator, skipinitialspace=True), []), path)
        stream.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # else rows longer than the header are cut
            return pd.read_csv(
                stream,
                sep=separator,
                skipinitialspace=True,
                index_col=False,
                low_memory=False,  # infers a column's type from the whole column
            )


def _open(path: Path) -> IO[str]:
    encoding = "utf-8-sig"  # spreadsheets put a byte order mark before the header
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _check_header(names: list[str], path: Path) -> None:
    if any("\0" in name for name in names):
        raise DataError(f"{path}: not text; save the table as CSV in UTF-8")
    # pandas would rename the second of two equal names, and would take a row of numbers for names.
    if repeated := [name for name, times in Counter(names).items() if times > 1 and name]:
        raise DataError(f"{path}: the header names column '{repeated[0]}' more than once; give each its own name")
    if names and all(_is_number(name) for name in names):
        raise DataError(f"{path}: the first row holds numbers only; put a row of column names above it")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
