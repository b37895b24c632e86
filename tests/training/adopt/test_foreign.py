"""Files that are no ONNX, as real libraries write them."""

import gzip
import io
import zipfile

import pytest

from chainzrule.training.adopt.foreign import foreign_format
from tests.training.adopt.graphs import model, zipped


def archive() -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as file:
        file.writestr("data.pkl", b"weights")
    return into.getvalue()


FILES = {
    "a zip archive": archive(),
    "a gzip file": gzip.compress(b"model"),
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\n",
    "an HDF5 file": b"\x89HDF\r\n",
}


@pytest.mark.parametrize("said", FILES)
def test_a_file_is_called_what_it_is(said: str) -> None:
    found = foreign_format(FILES[said])
    assert found is not None
    assert found.startswith(said)


def test_onnx_and_what_nobody_knows_are_not_named() -> None:
    plain = model("scores = Neg (features)", outputs="float[batch,3] scores")
    for content in (plain.SerializeToString(), zipped().SerializeToString(), b"", b"garbage"):
        assert foreign_format(content) is None
