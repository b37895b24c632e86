"""Reads files of texts with an ordered label each, row by row, so that only one text is in memory."""

import csv
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from chainzrule.training.data.errors import DataError

LEVELS = 5
LONGEST_TEXT = 131_072  # characters; with this limit an unclosed quote is found before the end of the file
SST_LABEL = "__label__"


class Review(NamedTuple):
    """Holds a text and its level, counted from 0."""

    level: int
    text: str


Read = Callable[[Path], Iterator[Review]]


def read_yelp_full(path: Path) -> Iterator[Review]:
    """Reads the official files of Yelp Review Full (Zhang, Zhao and LeCun 2015): CSV without a header, `"5","text"`.

    Labels are 1 to 5; a quote within a text is doubled, and a line break is written as a backslash and an n.

    Raises:
        DataError: cannot be read, or is not of this format; names the file and the line.
    """
    return (Review(level, text.replace("\\n", "\n")) for level, text in _read_csv(path, lowest=1))


def read_yelp_sample(path: Path) -> Iterator[Review]:
    """Reads CSV without a header, `0,"text"`, with labels 0 to 4 and plain line breaks within quotes.

    Raises:
        DataError: as of `read_yelp_full`.
    """
    return _read_csv(path, lowest=0)


def read_sst(path: Path) -> Iterator[Review]:
    """Reads the Stanford Sentiment Treebank's sentences of five levels, a line each: `__label__1`, a tab, the text.

    Raises:
        DataError: as of `read_yelp_full`.
    """
    with closing(_lines(path)) as lines:
        for number, line in enumerate(lines, start=1):
            label, tab, text = line.rstrip("\r\n").partition("\t")
            if not tab or not label.startswith(SST_LABEL):
                raise DataError(
                    f"{path}, line {number}: must be {SST_LABEL}1 to {SST_LABEL}{LEVELS}, a tab and the text"
                )
            yield Review(_level(label.removeprefix(SST_LABEL), 1, path, number), text)


def _read_csv(path: Path, lowest: int) -> Iterator[Review]:
    with closing(_lines(path)) as lines:
        yield from _read_rows(lines, path, lowest)


def _read_rows(lines: Iterator[str], path: Path, lowest: int) -> Iterator[Review]:
    rows = csv.reader(lines, strict=True)
    while True:
        start = rows.line_num + 1  # a quoted text may span several lines
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}, from line {start}: no whole CSV row ({error}); is a quote missing, or not doubled?"
            ) from None
        if len(row) != 2:
            raise DataError(f"{path}, line {start}: {len(row)} fields where there must be two, the label and the text")
        yield Review(_level(row[0], lowest, path, start), row[1])


def _lines(path: Path) -> Generator[str, None, None]:
    """Yields the file's lines with their ends, read as bytes so that invalid UTF-8 can be located."""
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    yield line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    raise DataError(f"{path}, line {number}: not UTF-8 text") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _level(label: str, lowest: int, path: Path, line: int) -> int:
    highest = lowest + LEVELS - 1
    if label not in map(str, range(lowest, highest + 1)):
        raise DataError(f"{path}, line {line}: the label must be a whole number from {lowest} to {highest}")
    return int(label) - lowest
