from pathlib import Path

import numpy as np
import pytest

from chainzrule.training.data.errors import DataError
from chainzrule.training.text.vectors import read_vectors


def test_only_wanted_words_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("the 0.5 -1 2e-1\n. . . 1 2 3\nthe 9 9 9\ncaf\u00e9 4 5 6\nunwanted 7 8 9\n", encoding="utf-8")
    found = read_vectors(path, {"the", ". . .", "caf\u00e9", "absent"})
    assert found.places == {"the": 0, ". . .": 1, "caf\u00e9": 2}
    np.testing.assert_array_equal(found.matrix, np.array([[0.5, -1, 0.2], [1, 2, 3], [4, 5, 6]], np.float32))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("the 1 2 3\nof 1 2\n", "line 2: 2 numbers, but line 1 has 3"),
        ("the 1 2 3\nof 1 2 x\n", "line 2: holds something that is no number"),
        ("the 1 nan 3\n", "line 1: holds a number that is not finite"),
        ("400000 100\nthe 1 2 3\n", "line 1: must be a word and its numbers"),
        ("", "line 1: must be a word and its numbers"),
        ("THE 1 2 3\n", "has none of the texts' words"),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(content)
    with pytest.raises(DataError) as refused:
        read_vectors(path, {"the", "of"})
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.txt: cannot be read \(No such file"):
        read_vectors(tmp_path / "none.txt", {"the"})
