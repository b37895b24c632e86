"""Encodes a text as the mean, maximum, minimum and standard deviation of its words' vectors."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chainzrule.training.data.fingerprint import fingerprint_file
from chainzrule.training.text.encoding import Encode
from chainzrule.training.text.vectors import WordVectors, dimension, read_vectors
from chainzrule.training.text.words import words

REVISION = 1  # version of the splitting into words and of the pooling

POOLS = ("mean", "max", "min", "sd")


class PooledVectors:
    """Pools word vectors from a file in GloVe's text format, into four numbers per dimension of the vectors."""

    def __init__(self, path: Path) -> None:
        """Reads the vectors' dimension from the file.

        Raises:
            DataError: the file cannot be read, or is of another format.
        """
        self._path = path
        self.names = [f"{pool} {number}" for pool in POOLS for number in range(1, dimension(path) + 1)]

    @property
    def fingerprint(self) -> str:
        """Returns a hash of the file's content and the way of pooling."""
        return hashlib.sha256(f"pooled {REVISION} {fingerprint_file(self._path)}".encode()).hexdigest()

    def prepare(self, texts: Iterable[str]) -> Encode:
        """Reads the vectors of the words that occur in the texts.

        Raises:
            DataError: the file is damaged, or has none of the words.
        """
        found: set[str] = set()
        for text in texts:
            found.update(words(text))
        vectors = read_vectors(self._path, found)
        return lambda texts: np.stack([pool(text, vectors) for text in texts])


def pool(text: str, vectors: WordVectors) -> NDArray[np.float32]:
    """Returns (4 dimension,) mean, maximum, minimum and standard deviation of known words' vectors; 0 without any."""
    places = [place for word in words(text) if (place := vectors.places.get(word)) is not None]
    if not places:
        return np.zeros(len(POOLS) * vectors.matrix.shape[1], np.float32)
    rows = vectors.matrix[places]
    return np.concatenate([rows.mean(axis=0), rows.max(axis=0), rows.min(axis=0), rows.std(axis=0)])
