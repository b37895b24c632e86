"""Defines what a table in a file offers, whatever its kind."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

Kind = Literal["text", "number", "texts"]


class TableError(ValueError):
    """Says why a file cannot be used, and what to do about it."""


class Chunk(Protocol):
    """Holds consecutive rows.

    Attributes:
        lines: the number of each row in the file, counted in `Table.unit`.
        strays: the faults of lines that are no rows of the table, by their number.
    """

    lines: list[int]
    strays: dict[int, str]

    def column(self, name: str) -> list[Any]:
        """Returns one column's cells: text from CSV, typed values from Parquet."""


class Writer(Protocol):
    """Writes another table of the same kind, with the rows' own columns and new ones after them."""

    def __enter__(self) -> Self:
        """Opens the file and writes the header."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finishes the file."""

    def write(self, chunk: Any, places: Sequence[int], added: Mapping[str, list[Any]]) -> None:
        """Writes the chunk's rows with these indices; every added column has as many cells."""


class Table(Protocol):
    """Reads a file, a chunk at a time.

    Attributes:
        names: the names of the columns.
        unit: what the number of a row counts, lines or rows.
    """

    names: tuple[str, ...]
    unit: str

    def __enter__(self) -> Self:
        """Opens the file; raises `TableError`."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Yields all rows, so many at a time; raises `TableError`."""

    @property
    def share(self) -> float:
        """Returns the fraction of the file that has been read, 0 to 1."""

    def writer(self, path: Path, added: Mapping[str, Kind]) -> Writer:
        """Returns a writer for a table that has these columns after those of this one."""
