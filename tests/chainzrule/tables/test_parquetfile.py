import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chainzrule.tables import parquetfile
from chainzrule.tables.parquetfile import ParquetTable
from chainzrule.tables.table import TableError

ROWS = pa.table(
    {
        "number": pa.array([1, None, 3], pa.int32()),
        "kind": pa.array(["x", "y", None]).dictionary_encode(),
        "when": pa.array([datetime.date(2020, 1, day) for day in (1, 2, 3)]),
        "exact": pa.array([Decimal("1.5"), None, Decimal("2.5")]),
        "many": pa.array([[1], [], [2, 3]]),
        "fine": pa.array([1, 2, 3], pa.timestamp("ns")),
    },
    metadata={"made": "here"},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pq.write_table(ROWS, tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def test_rows_come_in_chunks_with_their_numbers(path: Path) -> None:
    with ParquetTable(path) as table:
        assert table.names == ("number", "kind", "when", "exact", "many", "fine")
        chunks, shares = [], []
        for chunk in table.chunks(2):
            chunks.append(chunk)
            shares.append(table.share)
    assert [chunk.lines for chunk in chunks] == [[1, 2], [3]]
    assert [chunk.column("kind") for chunk in chunks] == [["x", "y"], [None]]
    assert [chunk.column("number") for chunk in chunks] == [[1, None], [3]]
    assert shares == [2 / 3, 1.0]


@pytest.mark.parametrize("rows", [1, 2**16])
def test_columns_of_every_type_pass_through(
    path: Path, tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquetfile, "GROUP_ROWS", rows)
    with ParquetTable(path) as table:
        added = {"value": "number", "why": "texts", "who": "text"}
        with table.writer(tmp_path / "new.parquet", added) as writer:  # type: ignore[arg-type]
            first, second = table.chunks(2)
            writer.write(first, [1], {"value": [0.1], "why": [["u", "v"]], "who": ["a"]})
            writer.write(second, [0], {"value": [None], "why": [[]], "who": [None]})
    found = pq.read_table(tmp_path / "new.parquet")
    assert found.select(ROWS.column_names).equals(ROWS.slice(1))
    assert found.select(["value", "why", "who"]).to_pylist() == [
        {"value": 0.1, "why": ["u", "v"], "who": "a"},
        {"value": None, "why": [], "who": None},
    ]
    assert found.schema.metadata[b"made"] == b"here"
    assert pq.ParquetFile(tmp_path / "new.parquet").num_row_groups == (2 if rows == 1 else 1)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n"])
def test_what_is_no_parquet_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(content)
    with pytest.raises(TableError, match=r"rows\.parquet: cannot be read"), ParquetTable(tmp_path / "rows.parquet"):
        pass


def test_a_damaged_page_is_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4:120] = bytes(116)  # behind the mark at the start, ahead of the schema at the end
    path.write_bytes(content)
    with ParquetTable(path) as table, pytest.raises(TableError, match="cannot be read"):
        list(table.chunks(2))
