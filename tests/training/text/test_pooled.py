"""Texts as pooled word vectors."""

from pathlib import Path

import numpy as np
import pytest

from chainzrule.training.data.errors import DataError
from chainzrule.training.text.pooled import PooledVectors, pool
from chainzrule.training.text.vectors import WordVectors

VECTORS = WordVectors({"good": 0, "food": 1, "bad": 2}, np.array([[1, 2], [3, -3], [-1, 0]], dtype=np.float32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "vectors.txt"
    found.write_text("good 1 2\nbad -1 0\nfood 3 -3\nunused 9 9\n")
    return found


def test_a_text_is_mean_maximum_minimum_and_deviation_of_its_words() -> None:
    found = pool("Good, good FOOD unknown", VECTORS)
    rows = VECTORS.matrix[[0, 0, 1]]  # a word counts as often as it occurs, and one without a vector not at all
    expected = np.concatenate([rows.mean(axis=0), rows.max(axis=0), rows.min(axis=0), rows.std(axis=0)])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == np.float32


def test_a_text_without_known_words_is_nothing() -> None:
    assert pool("unknown", VECTORS).tolist() == [0.0] * 8
    assert pool("", VECTORS).tolist() == [0.0] * 8


def test_texts_are_encoded_one_a_row_and_named(path: Path) -> None:
    vectors = PooledVectors(path)
    assert vectors.names == [
        "mean 1", "mean 2", "max 1", "max 2", "min 1", "min 2", "sd 1", "sd 2",
    ]  # fmt: skip
    encode = vectors.prepare(iter(["good food", "bad"]))
    np.testing.assert_allclose(encode(["bad", "good food"]), [pool("bad", VECTORS), pool("good food", VECTORS)])


def test_only_words_of_the_texts_are_kept(path: Path) -> None:
    encode = PooledVectors(path).prepare(["good", "bad"])
    np.testing.assert_array_equal(encode(["food unused good"])[0], pool("good", VECTORS))
    with pytest.raises(DataError, match="none of the texts' words"):
        PooledVectors(path).prepare(["nothing", "known"])


def test_the_fingerprint_is_the_files(path: Path) -> None:
    before = PooledVectors(path).fingerprint
    copy = path.with_name("copy.txt")
    copy.write_bytes(path.read_bytes())
    assert PooledVectors(copy).fingerprint == before
    copy.write_text(copy.read_text() + "more 1 1\n")
    assert PooledVectors(copy).fingerprint != before
