"""Reads tables from files: CSV (plain or gzipped), Parquet, JSON and Excel, one by one or several as one table."""

import csv
import gzip
import importlib
import json
import re
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow
from pandas.api import types

from chainzrule.service.runtime.spelling import CODE, Spelling
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.spelling import respelled

SEPARATORS = ",;\t|"
CSV_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
EXCEL_SUFFIXES = (".xlsx",)
SUFFIXES = CSV_SUFFIXES + PARQUET_SUFFIXES + JSON_SUFFIXES + EXCEL_SUFFIXES

_USUAL = Spelling()


def read_table(path: Path, spelling: Spelling = _USUAL) -> pd.DataFrame:
    """Returns the table in a file, or in all files of a folder or a pattern; raises as `read_noted` does."""
    return read_noted(path, spelling)[0]


def read_noted(path: Path, spelling: Spelling = _USUAL) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Reads a table, with notes on what was understood otherwise than it may have been meant.

    A CSV file has a header and is separated by comma, semicolon, tab or bar. Empty fields and pandas' usual marks (NA,
    N/A, NaN, null, None) are gaps. A Parquet file's row index is left out. Of an Excel file the first sheet is read. A
    folder, or a pattern such as `data/*.csv`, stands for all its tables, which have the same columns.

    Raises:
        DataError: no such file, an unknown kind, empty, undecodable, ragged, without a header or with a repeated name.
        ImportError: the file is of a kind that needs a package which is not installed.
    """
    files = _files(path)
    parts = [_read(file, spelling) for file in files]
    names = list(parts[0][0].columns)
    for file, (frame, _) in zip(files, parts, strict=True):
        if list(frame.columns) != names:
            odd = sorted(set(map(str, frame.columns)) ^ set(map(str, names)))
            what = f"column '{odd[0]}' is in one of them only" if odd else "their order differs"
            raise DataError(f"{file}: has other columns than {files[0]} ({what})")
    notes = tuple(dict.fromkeys(note for _, found in parts for note in found))
    frame = parts[0][0] if len(parts) == 1 else pd.concat([part for part, _ in parts], ignore_index=True)
    return frame, (*notes, *([f"{len(files)} files read as one table"] if len(files) > 1 else []))


def _files(path: Path) -> list[Path]:
    """Returns the files that a path stands for, in the order of their names."""
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file() and file.name.lower().endswith(SUFFIXES))
        if not found:
            raise DataError(f"{path}: there is no table in this folder ({', '.join(SUFFIXES)})")
        # A folder of Parquet files may have columns in the names of its folders, which only its own reader knows.
        return [path] if all(file.name.lower().endswith(PARQUET_SUFFIXES) for file in found) else found
    anchor = Path(path.anchor) if path.is_absolute() else Path()
    pattern = str(path.relative_to(anchor)) if path.is_absolute() else str(path)
    found = sorted(file for file in anchor.glob(pattern) if file.is_file())
    if not found:
        raise DataError(f"{path}: no such file")
    return found


def _read(path: Path, spelling: Spelling) -> tuple[pd.DataFrame, list[str]]:
    name = path.name.lower()
    if not path.is_dir() and not name.endswith(SUFFIXES):
        raise DataError(f"{path}: neither CSV nor Parquet, JSON lines nor Excel by its name ({', '.join(SUFFIXES)})")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    notes: list[str] = []
    try:
        if name.endswith(CSV_SUFFIXES):
            frame, notes = _read_csv(path, spelling)
        elif name.endswith(JSON_SUFFIXES):
            frame = _read_json(path, spelling)
        elif name.endswith(EXCEL_SUFFIXES):
            importlib.import_module("openpyxl")  # pandas would not say which of our extras has it
            frame = pd.read_excel(path, engine="openpyxl", **_gaps(spelling))
        else:
            frame = pd.read_parquet(path)
    except (DataError, ImportError):
        raise
    except (UnicodeError, LookupError) as error:
        raise _undecodable(path, spelling, error) from error
    except (
        ValueError,
        OSError,
        EOFError,
        csv.Error,
        zlib.error,
        zipfile.BadZipFile,
        pd.errors.ParserWarning,
        pyarrow.ArrowException,
    ) as error:
        raise DataError(f"{path}: cannot be read ({str(error).strip()})") from error
    if frame.empty:
        raise DataError(f"{path}: the table has no rows")
    return respelled(frame, spelling), notes


def _gaps(spelling: Spelling) -> dict[str, Any]:
    """Returns pandas' arguments for the marks of a gap."""
    return {"keep_default_na": False, "na_values": sorted(spelling.gaps | {""} - {*spelling.not_na})}


def _read_csv(path: Path, spelling: Spelling) -> tuple[pd.DataFrame, list[str]]:
    with _open(path, spelling) as stream:
        first = stream.readline()
        separator = max(SEPARATORS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
        stream.seek(0)
        header = next(csv.reader(stream, delimiter=separator, skipinitialspace=True), [])
        _check_header(header, path)

        def read(**options: Any) -> pd.DataFrame:
            stream.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # else rows longer than the header are cut
                # A column's type is inferred from the whole column, which needs much memory at once.
                options = {**_gaps(spelling), "index_col": False, "low_memory": False, **options}
                table: pd.DataFrame = pd.read_csv(stream, sep=separator, skipinitialspace=True, **options)
                return table

        frame = read() if spelling.plain else read(dtype=str)
        if spelling.plain:
            stream.seek(0)
            candidates = [name for name in frame.columns if _may_be_code(frame[name])]
            candidates = candidates if _has_leading_zero(stream, separator) else []
            texts = read(usecols=candidates, dtype=str) if candidates else frame[[]]
        else:
            texts = frame
        codes = [name for name in texts.columns if _is_code(texts[name])]
        frame = frame.assign(**{name: texts[name] for name in codes})
        notes = [f"column '{name}' has leading zeros, and is read as a code; --numeric reads numbers" for name in codes]
        gappy = [
            name for name in frame.columns if not types.is_numeric_dtype(frame[name].dtype) and frame[name].hasnans
        ]
        raw = read(usecols=gappy, dtype=str, keep_default_na=False, na_values=[]) if gappy else frame[[]]
        for name in gappy:
            marks = Counter(raw[name][frame[name].isna()].str.strip())
            notes += [
                f"column '{name}': '{mark}' ({count} times) is read as a gap; --not-na={mark} keeps it as a text"
                for mark, count in marks.items()
                if mark and mark not in spelling.na
            ]
        stream.seek(0)
        short = _short_rows(stream, separator, len(header)) if frame.iloc[:, -1].hasnans else 0
    if short:
        notes.append(f"{short} rows have fewer fields than the header; what they lack is read as gaps")
    return frame, notes


def _has_leading_zero(stream: IO[str], separator: str) -> bool:
    """Returns whether any field of a text begins with a zero and another digit.

    Without one, as in most tables, the fields need not be kept as texts, which may take much memory.
    """
    zero = re.compile(rf'(?:^|[{re.escape(separator)}"])\s*0\d')
    return any(zero.search(line) for line in stream)


def _short_rows(stream: IO[str], separator: str, fields: int) -> int:
    rows = csv.reader(stream, delimiter=separator, skipinitialspace=True)
    return sum(0 < len(row) < fields for row in rows)


def _may_be_code(column: "pd.Series[Any]") -> bool:
    """Returns whether a column of numbers may be one of digits with leading zeros: whole ones that are not negative."""
    if not types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype):
        return False
    known = column.dropna()
    return bool((known >= 0).all() and (known % 1 == 0).all())


def _is_code(texts: "pd.Series[Any]") -> bool:
    """Returns whether texts are digits alone, some of them with a leading zero."""
    known = texts.dropna().str.strip()
    return bool(known.str.fullmatch(r"\d+").all() and known.str.fullmatch(CODE.pattern).any())


def _read_json(path: Path, spelling: Spelling) -> pd.DataFrame:
    """Reads one object a line; a member that an object lacks is a gap."""
    with _open(path, spelling) as stream:
        rows = [json.loads(line) for line in stream if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: every line must be a JSON object, with the columns as its members")
    return pd.DataFrame(rows).replace(list(spelling.na), None) if spelling.na else pd.DataFrame(rows)


def _open(path: Path, spelling: Spelling) -> IO[str]:
    encoding = spelling.encoding or "utf-8-sig"  # spreadsheets put a byte order mark before the header
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _undecodable(path: Path, spelling: Spelling, error: Exception) -> DataError:
    """Returns the error of text in another encoding, with the encodings that it may have."""
    if spelling.encoding is not None:
        what = "no known encoding" if isinstance(error, LookupError) else "not that of this file"
        return DataError(f"{path}: {spelling.encoding} is {what}; name another one (--encoding)", "--encoding latin-1")
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
        mark = stream.read(2)
    likely = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
    return DataError(
        f"{path}: not UTF-8 text; name its encoding, perhaps {likely}, or save it in UTF-8", f"--encoding {likely}"
    )


def _check_header(names: Sequence[str], path: Path) -> None:
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
