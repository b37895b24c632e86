import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from chainzrule.service.runtime.spelling import Spelling
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.tablefile import read_noted, read_table

TEXT = "age,town,bought\n31,Köln,yes\n,Graz,no\n"


@pytest.fixture
def frame():
    return pd.DataFrame({"age": [31.0, None], "town": ["Köln", "Graz"], "bought": ["yes", "no"]})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", TEXT.encode()),
        ("a.CSV", TEXT.encode("utf-8-sig")),
        ("a.csv.gz", gzip.compress(TEXT.encode(), mtime=0)),
        ("a.csv", TEXT.replace(",", ";").encode()),
        ("a.tsv", TEXT.replace(",", "\t").encode()),
        ("a.txt", TEXT.replace(",", "|").encode()),
        ("a.csv", TEXT.replace(",", ", ").encode()),
        ("a.csv", TEXT.replace("\n", "\r\n").encode()),
        ("a.csv", TEXT.replace("town", '"town"').encode()),
    ],
)
def test_reads_the_usual_spellings_of_csv(tmp_path, frame, name, content):
    (tmp_path / name).write_bytes(content)
    assert_frame_equal(read_table(tmp_path / name), frame)


def test_reads_parquet_with_its_types(tmp_path, frame):
    frame["town"] = pd.Categorical(frame["town"], ["Köln", "Graz"], ordered=True)
    frame.to_parquet(tmp_path / "a.parquet")
    read = read_table(tmp_path / "a.parquet")
    assert read["town"].cat.ordered
    assert read["town"].tolist() == ["Köln", "Graz"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"\n\n", "cannot be read"),
        ("a.csv", b"a,b\n", "no rows"),
        ("a.csv", "a,b\nKöln,1\n".encode("latin-1"), "not UTF-8"),
        ("a.csv", "a,b\nx,1\n".encode("utf-16"), "not UTF-8"),
        ("a.csv", b"a\0,b\n1,2\n", "not text"),
        ("a.csv", b"a,b,a\n1,2,3\n", "column 'a' more than once"),
        ("a.csv", b"1.5,2,0\n2.5,3,1\n", "first row holds numbers only"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "cannot be read"),
        ("a.csv", b"a,b\n1,2,3\n4,5,6\n", "cannot be read"),
        ("a.csv", b'a,b\n"1,2\n', "cannot be read"),
        ("a.csv.gz", b"a,b\n1,2\n", "cannot be read"),
        ("a.csv.gz", gzip.compress(TEXT.encode(), mtime=0)[:-9], "cannot be read"),
        ("a.parquet", b"PAR1 and then nothing", "cannot be read"),
        ("a.doc", b"PK", "neither CSV nor Parquet"),
        ("a.jsonl", b'{"a": 1}\n[2]\n', "every line must be a JSON object"),
        ("a.jsonl", b'{"a": 1', "cannot be read"),
    ],
)
def test_refuses_what_is_no_table_and_names_the_file(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_table(tmp_path / name)
    assert name in str(error.value)


def test_a_missing_file_and_an_empty_parquet_file_are_named(tmp_path, frame):
    with pytest.raises(DataError, match=r"b\.csv: no such file"):
        read_table(tmp_path / "b.csv")
    frame.iloc[:0].to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: the table has no rows"):
        read_table(tmp_path / "b.parquet")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text('ab1.,;"\n\t -é', max_size=60).map(str.encode)))
@example(b'a,"b\n1,2\n')
@example(b"a,b\r1,2\r")
def test_any_bytes_give_a_table_or_a_data_error(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    try:
        frame = read_table(tmp_path / "a.csv")
    except DataError:
        return
    assert len(frame) > 0


def noted(path: Path, text: str | bytes, **spelling: object) -> tuple[pd.DataFrame, tuple[str, ...]]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_noted(path, Spelling(**spelling))  # type: ignore[arg-type]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_text_in_another_encoding_is_read_by_its_name(tmp_path, encoding):
    path = tmp_path / "a.csv"
    with pytest.raises(DataError, match="not UTF-8") as caught:
        noted(path, TEXT.encode(encoding))
    assert caught.value.problems[0].flags == (f"--encoding {'utf-16' if encoding == 'utf-16' else 'latin-1'}",)
    assert noted(path, TEXT.encode(encoding), encoding=encoding)[0]["town"].tolist() == ["Köln", "Graz"]
    for other in ("ascii", "no such one"):
        with pytest.raises(DataError, match="name another one"):
            noted(path, TEXT.encode(encoding), encoding=other)


def test_numbers_are_read_as_they_are_spelled(tmp_path):
    text = "price;share;word\n1.234,50;3;a,b\n7;4,5;c\n"
    frame, _ = noted(tmp_path / "a.csv", text, decimal=",", thousands=".")
    assert frame["price"].tolist() == [1234.5, 7.0]
    assert frame["share"].tolist() == [3.0, 4.5]
    assert frame["word"].tolist() == ["a,b", "c"]
    frame, _ = noted(tmp_path / "a.csv", 'w,p\n12 kg,"$1,200"\n,$3\n', thousands=",", units={"w": "kg", "p": "$"})
    assert frame["w"].tolist()[0] == 12.0
    assert frame["p"].tolist() == [1200.0, 3.0]


def test_marks_of_a_gap_can_be_added_and_taken_away(tmp_path):
    text = "country,age\nNA,1\nDE,?\n,3\nNA,4\n"
    frame, notes = noted(tmp_path / "a.csv", text, na=("?",))
    assert frame["age"].isna().tolist() == [False, True, False, False]
    assert notes == ("column 'country': 'NA' (2 times) is read as a gap; --not-na=NA keeps it as a text",)
    frame, notes = noted(tmp_path / "a.csv", text, na=("?",), not_na=("NA",))
    assert frame["country"].isna().tolist() == [False, False, True, False]
    assert notes == ()


def test_codes_keep_their_leading_zeros(tmp_path):
    frame, notes = noted(tmp_path / "a.csv", "zip,n,zero\n01234,10,0\n99999,20,1\n,30,0\n")
    assert frame["zip"].tolist()[:2] == ["01234", "99999"]
    assert (frame["n"].tolist(), frame["zero"].tolist()) == ([10, 20, 30], [0, 1, 0])
    assert notes == ("column 'zip' has leading zeros, and is read as a code; --numeric reads numbers",)


def test_short_rows_are_noted(tmp_path):
    frame, notes = noted(tmp_path / "a.csv", "a,b,c\n1,2,3\n4,5\n6\n\n7,8,\n")
    assert len(frame) == 4
    assert notes == ("2 rows have fewer fields than the header; what they lack is read as gaps",)


def test_json_lines_are_rows(tmp_path, frame):
    rows = [{"age": 31, "town": "Köln", "bought": "yes"}, {"town": "Graz", "bought": "no"}]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n"
    assert_frame_equal(noted(tmp_path / "a.jsonl", text)[0], frame)
    assert_frame_equal(noted(tmp_path / "a.ndjson.gz", gzip.compress(text.encode()))[0], frame)
    assert noted(tmp_path / "a.jsonl", text, na=("Graz",))[0]["town"].isna().tolist() == [False, True]


def test_an_excel_file_is_read_by_its_first_sheet(tmp_path, frame):
    pytest.importorskip("openpyxl")
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    assert_frame_equal(read_table(tmp_path / "a.xlsx"), frame)
    (tmp_path / "b.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"b\.xlsx: cannot be read"):
        read_table(tmp_path / "b.xlsx")


def test_several_files_are_one_table(tmp_path, frame):
    for number in (1, 2):
        frame.assign(age=number).to_csv(tmp_path / f"part{number}.csv", index=False)
    for path in (tmp_path, tmp_path / "part*.csv", tmp_path / "**" / "part?.csv"):
        found, notes = read_noted(path)
        assert found["age"].tolist() == [1, 1, 2, 2]
        assert notes == ("2 files read as one table",)
    frame.to_csv(tmp_path / "part3.csv", index=True)
    with pytest.raises(
        DataError, match=r"part3\.csv: has other columns than .*part1\.csv \(column 'Unnamed: 0' is in one"
    ):
        read_table(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there is no table in this folder"):
        read_table(tmp_path / "empty")
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "x*.csv")


def test_a_folder_of_parquet_files_is_a_table(tmp_path, frame):
    for year in (2020, 2021):
        (tmp_path / f"year={year}").mkdir()
        frame.to_parquet(tmp_path / f"year={year}" / "part.parquet")
    found = read_table(tmp_path)
    assert found["year"].astype(int).tolist() == [2020, 2020, 2021, 2021]
    assert found["town"].tolist() == ["Köln", "Graz"] * 2
