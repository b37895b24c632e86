"""Reads and writes CSV, plain or gzipped: UTF-8 with a header, separated by comma, semicolon, tab or bar."""

import contextlib
import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from chainzrule.tables.table import Kind, TableError

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
SEPARATORS = ",;\t|"
LONGEST_HEADER = 2**24  # characters


@dataclass
class CsvChunk:
    """Holds rows of text; see `Chunk`."""

    places: Mapping[str, int]
    lines: list[int] = field(default_factory=list)
    strays: dict[int, str] = field(default_factory=dict)
    rows: list[list[str]] = field(default_factory=list)

    def column(self, name: str) -> list[Any]:
        """Returns one column's cells."""
        place = self.places[name]
        return [row[place] for row in self.rows]


class CsvTable:
    """Reads a CSV file; see `Table`."""

    unit = "line"

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        """Names the file; without an `encoding` it is UTF-8, with or without the byte order mark of spreadsheets."""
        self._path = path
        self._encoding = encoding

    def __enter__(self) -> Self:
        self._raw = self._path.open("rb")
        binary: Any = gzip.GzipFile(fileobj=self._raw) if self._path.suffix.lower() == ".gz" else self._raw
        try:
            self._text = io.TextIOWrapper(binary, encoding=self._encoding or "utf-8-sig", newline="")
        except LookupError:
            self._raw.close()
            raise TableError(f"--encoding {self._encoding}: no known encoding") from None
        try:
            with self._readable():
                self.names = self._header()
        except TableError:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def chunks(self, rows: int) -> Iterator[CsvChunk]:
        """Yields all rows, so many at a time; a line with more or fewer fields than the header is a stray."""
        places = {name: place for place, name in enumerate(self.names)}
        chunk = CsvChunk(places)
        with self._readable():
            line = self._reader.line_num + 1
            for row in self._reader:
                if len(row) == len(self.names):
                    chunk.lines.append(line)
                    chunk.rows.append(row)
                elif row:
                    chunk.strays[line] = f"has {len(row)} fields, where the header names {len(self.names)}"
                line = self._reader.line_num + 1
                if len(chunk.lines) + len(chunk.strays) == rows:
                    yield chunk
                    chunk = CsvChunk(places)
        if chunk.lines or chunk.strays:
            yield chunk

    @property
    def share(self) -> float:
        """Returns the fraction of the file that has been read, 0 to 1."""
        return self._raw.tell() / max(1, self._path.stat().st_size)

    def writer(self, path: Path, added: Mapping[str, Kind]) -> "CsvWriter":
        """Returns a writer for a table that has these columns after those of this one."""
        return CsvWriter(path, (*self.names, *added), self._separator)

    def _header(self) -> tuple[str, ...]:
        first = self._text.readline(LONGEST_HEADER)
        self._separator = max(SEPARATORS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
        self._text.seek(0)
        self._reader = csv.reader(self._text, delimiter=self._separator, skipinitialspace=True)
        names = tuple(next(self._reader, ()))
        if not names:
            raise TableError(f"{self._path}: the file is empty, or its first line is")
        if repeated := [name for name, times in Counter(names).items() if times > 1]:
            raise TableError(f"{self._path}: the header names column '{repeated[0]}' more than once")
        return names

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """Turns errors that make the file unreadable into a `TableError`."""
        try:
            yield
        except UnicodeError:
            what = "UTF-8 text; name its encoding" if self._encoding is None else f"{self._encoding} text; name another"
            raise TableError(f"{self._path}: not {what} (--encoding latin-1), or save it in UTF-8") from None
        except (csv.Error, zlib.error, EOFError, gzip.BadGzipFile) as error:
            raise TableError(f"{self._path}: cannot be read ({error})") from None

    def _close(self) -> None:
        self._text.close()
        self._raw.close()


class CsvWriter:
    """Writes a CSV file, in which gaps are empty cells, and several texts in one cell are separated by semicolons."""

    def __init__(self, path: Path, names: Sequence[str], separator: str) -> None:
        self._path = path
        self._names = names
        self._separator = separator

    def __enter__(self) -> Self:
        self._stream = self._path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._stream, delimiter=self._separator, lineterminator="\n")
        self._writer.writerow(self._names)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def write(self, chunk: CsvChunk, places: Sequence[int], added: Mapping[str, list[Any]]) -> None:
        """Writes the chunk's rows with these indices; every added column has as many cells."""
        for place, cells in zip(places, zip(*added.values(), strict=True), strict=True):
            written = [";".join(cell) if isinstance(cell, list) else cell for cell in cells]
            self._writer.writerow((*chunk.rows[place], *written))
