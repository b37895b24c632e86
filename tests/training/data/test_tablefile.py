import gzip

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from chainzrule.training.data.errors import DataError
from chainzrule.training.data.table import read_table

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
        ("a.xlsx", b"PK", "neither CSV nor Parquet"),
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
