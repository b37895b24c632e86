import os
import stat
from pathlib import Path

import pytest

from chainzrule.tables.csvfile import CsvTable
from chainzrule.tables.files import beside, kind_of, replacing, table_at
from chainzrule.tables.parquetfile import ParquetTable
from chainzrule.tables.table import TableError
from chainzrule.training.data import tablefile


def test_the_kinds_are_those_that_training_reads() -> None:
    for suffix in tablefile.CSV_SUFFIXES:
        assert kind_of(Path(f"Rows{suffix.upper()}")) == "csv"
    for suffix in tablefile.PARQUET_SUFFIXES:
        assert kind_of(Path(f"rows{suffix}")) == "parquet"
    assert kind_of(Path("rows.xlsx")) is None


def test_a_file_is_read_by_its_kind(tmp_path: Path) -> None:
    for name, kind in (("rows.csv.gz", CsvTable), ("rows.parquet", ParquetTable)):
        (tmp_path / name).touch()
        assert isinstance(table_at(tmp_path / name), kind)
    (tmp_path / "rows.xlsx").touch()
    with pytest.raises(TableError, match="neither CSV nor Parquet by its name"):
        table_at(tmp_path / "rows.xlsx")
    for name in ("none.csv", "."):
        with pytest.raises(TableError, match="no such file"):
            table_at(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "neighbour"),
    [
        ("rows.csv", "rows.predictions.csv"),
        ("my.rows.tsv.gz", "my.rows.predictions.tsv"),
        ("rows.pq", "rows.predictions.pq"),
    ],
)
def test_a_neighbour_is_named_for_what_it_is(name: str, neighbour: str) -> None:
    assert beside(Path("home", name), "predictions") == Path("home", neighbour)


def test_a_file_takes_anothers_place_once_it_is_whole(tmp_path: Path) -> None:
    old = tmp_path / "rows.csv"
    old.write_text("old")
    mask = os.umask(0o027)
    try:
        with replacing(old) as new:
            new.write_text("new")
            assert old.read_text() == "old"
            assert new.parent == tmp_path
    finally:
        os.umask(mask)
    assert old.read_text() == "new"
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [old]


@pytest.mark.parametrize("error", [TableError, KeyboardInterrupt])
def test_a_file_that_did_not_become_whole_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    old = tmp_path / "rows.csv"
    old.write_text("old")

    def write() -> None:
        with replacing(old) as new:
            new.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert old.read_text() == "old"
    assert list(tmp_path.iterdir()) == [old]
