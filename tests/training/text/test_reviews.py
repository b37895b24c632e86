from collections.abc import Iterator
from pathlib import Path

import pytest

from chainzrule.training.data.errors import DataError
from chainzrule.training.text.reviews import Read, Review, read_sst, read_yelp_full, read_yelp_sample


def test_the_official_yelp_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(
        '"5","dr. goldberg offers ""everything"" i look for.\\n\\nNice, caf\u00e9!"\n"1","Don\'t."\r\n"3",""\n'.encode()
    )
    assert list(read_yelp_full(path)) == [
        Review(4, 'dr. goldberg offers "everything" i look for.\n\nNice, caf\u00e9!'),
        Review(0, "Don't."),
        Review(2, ""),
    ]


def test_the_samples_format_has_labels_from_0_and_texts_over_lines(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text('0,"Two\n\nlines, ""quoted"""\n4,Short\n')
    assert list(read_yelp_sample(path)) == [Review(0, 'Two\n\nlines, "quoted"'), Review(4, "Short")]


def test_the_treebanks_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("__label__4\tThe Rock `` is ''\tgood .\n__label__1\tNo .")
    assert list(read_sst(path)) == [Review(3, "The Rock `` is ''\tgood ."), Review(0, "No .")]


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (read_yelp_full, b'"5","fine"\n"0","zero"\n', "line 2: the label must be a whole number from 1 to 5"),
        (read_yelp_full, b'"5","two\nlines"\n"six","no"\n', "line 3: the label must be"),
        (read_yelp_full, b'"\xc2\xb2","superscript two"\n', "line 1: the label must be"),
        (read_yelp_sample, b"5,five\n", "line 1: the label must be a whole number from 0 to 4"),
        (read_yelp_full, b'"5","fine"\n"4"\n', "line 2: 1 fields where there must be two"),
        (read_yelp_full, b'"5",fine, but unquoted\n', "line 1: 3 fields"),
        (read_yelp_full, b'"5","fine"\n\n', "line 2: 0 fields"),
        (read_yelp_full, b'"5","fine"\n"4","cut o', "from line 2: no whole CSV row"),
        (read_yelp_full, b'"5","a "quote" that is not doubled"\n', "from line 1: no whole CSV row"),
        (read_yelp_full, b'"5","fine"\n"4","caf\xe9"\n', "line 2: not UTF-8"),
        (read_yelp_full, b"PK\x03\x04\x14\x00\x00\x00\x08\x00", "line 1: "),
        (read_sst, b"__label__3\tfine\n4\tno\n", "line 2: must be __label__1 to __label__5, a tab and the text"),
        (read_sst, b"__label__3 no tab\n", "line 1: must be"),
        (read_sst, b"__label__6\tsix\n", "line 1: the label must be a whole number from 1 to 5"),
    ],
)
def test_what_is_damaged_is_named_with_file_and_line(tmp_path: Path, read: Read, content: bytes, message: str) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as refused:
        list(read(path))
    assert str(refused.value).startswith(f"{path}, ")
    assert message in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train.csv: cannot be read \(No such file"):
        list(read_yelp_full(tmp_path / "train.csv"))


def test_a_quote_that_is_never_closed_is_found_before_the_rest_of_the_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    with path.open("w") as stream:
        stream.write('"5","fine"\n"4","open\n')
        stream.writelines("a line of a hundred characters or so " * 3 + "\n" for _ in range(50_000))
    with pytest.raises(DataError, match="from line 2"):
        list(read_yelp_full(path))


def test_rows_are_read_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text('"5","fine"\n' * 10_000 + "damaged")
    rows: Iterator[Review] = read_yelp_full(path)
    assert next(rows) == Review(4, "fine")  # long before the damage
