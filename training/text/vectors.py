"""Reads GloVe's text files: a line a word, the word and its numbers between single spaces."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chainzrule.training.data.errors import DataError


@dataclass(frozen=True)
class WordVectors:
    """Holds the vectors of words.

    Attributes:
        places: row by word.
        matrix: (words, dimension).
    """

    places: dict[str, int]
    matrix: NDArray[np.float32]


def dimension(path: Path) -> int:
    """Returns the vectors' dimension, by the file's first line.

    Raises:
        DataError: the file cannot be read, or begins otherwise.
    """
    try:
        with path.open("rb") as stream:
            first = stream.readline().split(b" ")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if len(first) < 3:  # word2vec's text files begin with two counts, so they are recognised here
        raise DataError(f"{path}, line 1: must be a word and its numbers between single spaces, without a header")
    return len(first) - 1


def read_vectors(path: Path, wanted: Collection[str]) -> WordVectors:
    """Returns the vectors of those words of `wanted` that the file has; other words' lines are skipped.

    Raises:
        DataError: the file cannot be read, or a line is not of this format; names the line.
    """
    size = dimension(path)
    places: dict[str, int] = {}
    rows: list[NDArray[np.float32]] = []
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            # The line is split from the right, because some files have words with spaces.
            parts = line.rstrip().rsplit(b" ", size)
            if len(parts) != size + 1:
                raise DataError(f"{path}, line {number}: {len(parts) - 1} numbers, but line 1 has {size}")
            word = parts[0].decode("utf-8", errors="replace")
            if word not in wanted or word in places:
                continue
            try:
                row = np.array(parts[1:], dtype=np.float32)
            except ValueError:
                raise DataError(f"{path}, line {number}: holds something that is no number") from None
            if not np.isfinite(row).all():
                raise DataError(f"{path}, line {number}: holds a number that is not finite")
            places[word] = len(rows)
            rows.append(row)
    if not rows:
        raise DataError(f"{path}: has none of the texts' words; are its words in lower case?")
    return WordVectors(places, np.stack(rows))
