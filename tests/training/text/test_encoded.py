from pathlib import Path

import numpy as np
import pytest

from chainzrule.training.data.errors import DataError
from chainzrule.training.text import encoded as module
from chainzrule.training.text.encoded import EncodedTexts, TextFile, encoded
from chainzrule.training.text.pooled import PooledVectors
from chainzrule.training.text.reviews import read_yelp_full


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "vectors.txt").write_text("good 1 2\nbad -1 0\nfood 3 3\n")
    (tmp_path / "train.csv").write_text('"5","Good food"\n"1","Bad, bad"\n"3","Nothing known"\n')
    (tmp_path / "test.csv").write_text('"4","good"\n')
    return tmp_path


def encode(folder: Path) -> list[EncodedTexts]:
    files = [TextFile(folder / name, read_yelp_full) for name in ("train.csv", "test.csv")]
    return encoded(files, PooledVectors(folder / "vectors.txt"))


def test_texts_become_mean_maximum_minimum_and_deviation_of_their_words(folder: Path) -> None:
    train, test = encode(folder)
    np.testing.assert_array_equal(train.levels, [4, 0, 2])
    np.testing.assert_allclose(train.x, [[2, 2.5, 3, 3, 1, 2, 1, 0.5], [-1, 0, -1, 0, -1, 0, 0, 0], [0] * 8], atol=1e-6)
    np.testing.assert_allclose(test.x, [[1, 2, 1, 2, 1, 2, 0, 0]])
    assert PooledVectors(folder / "vectors.txt").names == [
        f"{pool} {number}" for pool in ("mean", "max", "min", "sd") for number in (1, 2)
    ]


def test_chunks_make_no_difference(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [part.x.copy() for part in encode(folder)]
    (folder / "cache").rename(folder / "other")
    monkeypatch.setattr(module, "CHUNK", 2)
    for part, other in zip(encode(folder), whole, strict=True):
        np.testing.assert_array_equal(part.x, other)


def test_what_was_encoded_is_opened_again_until_texts_or_vectors_change(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode(folder)
    cache = folder / "cache" / "chainzrule" / "texts"
    assert len(list(cache.iterdir())) == 2
    with monkeypatch.context() as patched:
        patched.setattr(PooledVectors, "prepare", lambda *_: pytest.fail("was encoded again"))
        assert isinstance(encode(folder)[0].x, np.memmap)
    (folder / "test.csv").write_text('"4","good food"\n')
    assert encode(folder)[1].x[0, 0] == 2
    assert len(list(cache.iterdir())) == 3
    (folder / "vectors.txt").write_text("good 5 5\n")
    assert encode(folder)[1].x[0, 0] == 5


def test_writing_to_what_was_opened_does_not_change_the_file(folder: Path) -> None:
    encode(folder)[0].x[:] = 99
    assert encode(folder)[0].x.max() == 3


def test_every_file_is_checked_before_the_first_text_is_encoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "test.csv").write_text('"4","good"\n"9","nine"\n')
    monkeypatch.setattr(PooledVectors, "prepare", lambda *_: pytest.fail("was encoded before the check"))
    with pytest.raises(DataError, match=r"test.csv, line 2: the label must be"):
        encode(folder)
    assert not (folder / "cache").exists()


def test_an_empty_file_is_refused(folder: Path) -> None:
    (folder / "test.csv").write_text("")
    with pytest.raises(DataError, match=r"test.csv: holds no text"):
        encode(folder)


def test_a_damaged_cache_is_removed_and_made_anew(folder: Path) -> None:
    encode(folder)
    for path in (folder / "cache").rglob("x.npy"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="was damaged and has been removed"):
        encode(folder)
    with pytest.raises(DataError, match="was damaged and has been removed"):
        encode(folder)
    assert encode(folder)[1].x[0, 0] == 1


def test_a_cache_that_cannot_be_written_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "file"))
    with pytest.raises(DataError, match="set XDG_CACHE_HOME"):
        encode(folder)
