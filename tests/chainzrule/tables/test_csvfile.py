import gzip
from pathlib import Path

import pytest

from chainzrule.tables.csvfile import CsvTable
from chainzrule.tables.table import TableError

TEXT = "a,b\n1,x\n2,y\n3,z\n"


def table(folder: Path, content: str | bytes, name: str = "rows.csv") -> CsvTable:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return CsvTable(folder / name)


def test_rows_come_in_chunks_with_their_lines(tmp_path: Path) -> None:
    with table(tmp_path, TEXT) as found:
        assert found.names == ("a", "b")
        chunks = list(found.chunks(2))
    assert [chunk.lines for chunk in chunks] == [[2, 3], [4]]
    assert [chunk.column("b") for chunk in chunks] == [["x", "y"], ["z"]]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (TEXT.replace(",", ";"), "rows.csv"),
        (TEXT.replace(",", "\t"), "rows.tsv"),
        (TEXT.replace(",", "|"), "rows.txt"),
        (TEXT.replace(",", ", "), "rows.csv"),
        (TEXT.replace("\n", "\r\n"), "rows.csv"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "rows.csv"),
        (gzip.compress(TEXT.encode(), mtime=0), "rows.csv.gz"),
        (TEXT.replace("2,y\n", "2,y\n\n"), "rows.csv"),
        ('a,b\n"1","x"\n2,y\n3,z', "rows.csv"),
    ],
)
def test_every_usual_writing_is_read(content: str | bytes, name: str, tmp_path: Path) -> None:
    with table(tmp_path, content, name) as found:
        [chunk] = found.chunks(10)
    assert (found.names, chunk.column("a"), chunk.column("b")) == (("a", "b"), ["1", "2", "3"], ["x", "y", "z"])


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    with table(tmp_path, 'a,b\n"one\ntwo",x\n\n1,y\n1\n1,2,3\n2,z\n') as found:
        [chunk] = found.chunks(10)
    assert chunk.lines == [2, 5, 8]
    assert chunk.strays == {
        6: "has 1 fields, where the header names 2",
        7: "has 3 fields, where the header names 2",
    }


def test_chunks_of_nothing_but_strays_are_bounded_too(tmp_path: Path) -> None:
    with table(tmp_path, "a,b\n" + "1\n" * 5) as found:
        assert [len(chunk.strays) for chunk in found.chunks(2)] == [2, 2, 1]


def test_the_share_that_was_read_rises_to_all(tmp_path: Path) -> None:
    with table(tmp_path, "a,b\n" + "1,x\n" * 20_000) as found:
        shares = [found.share for _ in found.chunks(1000)]
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    assert shares[-1] == 1.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n1,2\n", "the file is empty, or its first line is"),
        ("a,b,a\n1,2,3\n", "the header names column 'a' more than once"),
        ("a,ü\n".encode("latin-1"), "not UTF-8 text; name its encoding"),
        ("a,b\n1,ü\n".encode("latin-1"), "not UTF-8 text; name its encoding"),
        ('a,b\n1,"' + "x" * 200_000, "cannot be read"),  # a quotation mark that is never closed
    ],
)
def test_what_cannot_be_read_is_refused(content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=message) as refused, table(tmp_path, content) as found:
        list(found.chunks(10))
    assert str(refused.value).startswith(str(tmp_path / "rows.csv"))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_is_read_where_it_is_named(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes("a,ü\n1,ß\n".encode(encoding))
    with CsvTable(tmp_path / "rows.csv", encoding) as found:
        [chunk] = found.chunks(10)
    assert (found.names, chunk.column("ü")) == (("a", "ü"), ["ß"])


@pytest.mark.parametrize(("encoding", "said"), [
    ("klingon", "--encoding klingon: no known encoding"), ("ascii", "not ascii text; name another"),
    ("utf-16", "not utf-16 text; name another"),
])  # fmt: skip
def test_an_encoding_that_is_not_the_files_is_refused(encoding: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes("a,ü\n1,ß\n".encode("latin-1"))
    with pytest.raises(TableError, match=said), CsvTable(tmp_path / "rows.csv", encoding):
        pass


@pytest.mark.parametrize("content", [TEXT.encode(), gzip.compress(TEXT.encode(), mtime=0)[:-9]])
def test_a_file_that_is_not_zipped_or_cut_off_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot be read"), table(tmp_path, content, "rows.csv.gz") as found:
        list(found.chunks(10))


def test_rows_are_written_with_what_is_added(tmp_path: Path) -> None:
    with table(tmp_path, 'a;b\n1;"x;y"\n2;"q""q"\n3;\n') as found:
        [chunk] = found.chunks(10)
        with found.writer(tmp_path / "new.csv", {"value": "number", "why": "texts", "who": "text"}) as writer:
            writer.write(chunk, [0, 2], {"value": [0.1 + 0.2, None], "why": [["u", "v"], []], "who": ["ä", None]})
            writer.write(chunk, [1], {"value": [1e-300], "why": [["w"]], "who": ["b"]})
    assert (tmp_path / "new.csv").read_text() == (
        'a;b;value;why;who\n1;"x;y";0.30000000000000004;"u;v";ä\n3;;;;\n2;"q""q";1e-300;w;b\n'
    )
