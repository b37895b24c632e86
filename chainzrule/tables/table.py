"""What a table in a file offers, whatever its kind."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

Kind = Literal["text", "number", "texts"]


class TableError(ValueError):
    """Says why a file cannot be used, and what to do about it."""


class Chunk(Protocol):
    """Holds rows that follow one another.

    Attributes:
        lines: where each row is, as `Table.unit` counts.
        strays: by line, what is wrong with what is no row of the table.
    """

    lines: list[int]
    strays: dict[int, str]

    def column(self, name: str) -> list[Any]:
        """Returns one column's cells: text from CSV, typed values from Parquet."""


class Writer(Protocol):
    """Writes another table of the same kind: the rows' own columns, and behind them new ones."""

    def __enter__(self) -> Self:
        """Begins with the header."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finishes the file."""

    def write(self, chunk: Any, places: Sequence[int], added: Mapping[str, list[Any]]) -> None:
        """Writes the chunk's rows at these places, with as many cells in every added column."""


class Table(Protocol):
    """Reads a file, a chunk at a time.

    Attributes:
        names: of the columns.
        unit: what a row's number counts, lines or rows.
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
        """Returns how much of the file has been read, 0 to 1."""

    def writer(self, path: Path, added: Mapping[str, Kind]) -> Writer:
        """Returns what writes a table with these columns behind this one's."""
