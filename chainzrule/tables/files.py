"""Tells which kind of table a file is, and replaces files safely."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from chainzrule.tables.csvfile import SUFFIXES as CSV_SUFFIXES
from chainzrule.tables.csvfile import CsvTable
from chainzrule.tables.table import Table, TableError

PARQUET_SUFFIXES = (".parquet", ".pq")


def kind_of(path: Path) -> Literal["csv", "parquet"] | None:
    """Returns the kind of table that a file is, by its name; None for any other file."""
    name = path.name.lower()
    if name.endswith(CSV_SUFFIXES):
        return "csv"
    return "parquet" if name.endswith(PARQUET_SUFFIXES) else None


def table_at(path: Path, encoding: str | None = None) -> Table:
    """Returns the table in a file, not yet opened; a CSV file's text is UTF-8, or of the `encoding`.

    Raises:
        TableError: there is no such file, or its name is not that of a known kind.
        ImportError: it is a Parquet file, and pyarrow is not installed.
    """
    if not path.is_file():
        raise TableError(f"{path}: no such file")
    kind = kind_of(path)
    if kind == "csv":
        return CsvTable(path, encoding)
    if kind == "parquet":
        from chainzrule.tables.parquetfile import ParquetTable

        return ParquetTable(path)
    raise TableError(f"{path}: neither CSV nor Parquet by its name ({', '.join(CSV_SUFFIXES + PARQUET_SUFFIXES)})")


def beside(path: Path, word: str) -> Path:
    """Returns the path for a file made from another: `rows.csv.gz` with `predictions` gives `rows.predictions.csv`."""
    name = path.name.removesuffix(".gz")
    stem, _, suffix = name.rpartition(".")
    return path.with_name(f"{stem}.{word}.{suffix}")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a new file beside `path`, which replaces it at the end, or is removed where an error was raised."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        yield Path(name)
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(descriptor, 0o666 & ~mask)
        os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
