"""Reads and writes Parquet, whose columns keep their types."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from chainzrule.tables.table import Kind, TableError

TYPES: Mapping[Kind, Any] = {"text": pa.string(), "number": pa.float64(), "texts": pa.list_(pa.string())}
GROUP_ROWS = 2**16  # rows that are kept in memory and written as one group


@dataclass
class ParquetChunk:
    """Holds rows of typed values; see `Chunk`."""

    lines: list[int]
    strays: dict[int, str]
    batch: Any

    def column(self, name: str) -> list[Any]:
        """Returns one column's values."""
        cells: list[Any] = self.batch.column(name).to_pylist()
        return cells


class ParquetTable:
    """Reads a Parquet file; see `Table`."""

    unit = "row"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0

    def __enter__(self) -> Self:
        try:
            self._file = pq.ParquetFile(self._path)
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"{self._path}: cannot be read ({str(error).strip()})") from None
        self._schema = self._file.schema_arrow
        self.names: tuple[str, ...] = tuple(self._schema.names)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def chunks(self, rows: int) -> Iterator[ParquetChunk]:
        """Yields all rows, so many at a time."""
        try:
            for batch in self._file.iter_batches(batch_size=rows):
                first = self._seen + 1
                self._seen += batch.num_rows
                yield ParquetChunk(list(range(first, self._seen + 1)), {}, batch)
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"{self._path}: cannot be read ({str(error).strip()})") from None

    @property
    def share(self) -> float:
        """Returns the fraction of the file that has been read, 0 to 1."""
        return self._seen / max(1, int(self._file.metadata.num_rows))

    def writer(self, path: Path, added: Mapping[str, Kind]) -> "ParquetWriter":
        """Returns a writer for a table that has these columns after those of this one."""
        fields = [pa.field(name, TYPES[kind]) for name, kind in added.items()]
        return ParquetWriter(path, pa.schema([*self._schema, *fields], metadata=self._schema.metadata))


class ParquetWriter:
    """Writes a Parquet file, in groups of rows."""

    def __init__(self, path: Path, schema: Any) -> None:
        self._path = path
        self._schema = schema
        self._waiting: list[Any] = []

    def __enter__(self) -> Self:
        self._writer = pq.ParquetWriter(self._path, self._schema)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._writer.close()

    def write(self, chunk: ParquetChunk, places: Sequence[int], added: Mapping[str, list[Any]]) -> None:
        """Writes the chunk's rows with these indices; every added column has as many cells."""
        own = chunk.batch.take(pa.array(places, pa.int64())).columns
        types = self._schema.types[len(own) :]
        new = [pa.array(cells, kind) for cells, kind in zip(added.values(), types, strict=True)]
        self._waiting.append(pa.RecordBatch.from_arrays([*own, *new], schema=self._schema))
        if sum(batch.num_rows for batch in self._waiting) >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._waiting = []
