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


@pytest.mark.parametrize(("content", "said"), [
    (archive(), "a zip archive"),
    (gzip.compress(b"model", mtime=0), "a gzip file"),
    (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
    (b"\x89HDF\r\n", "an HDF5 file"),
])  # fmt: skip
def test_a_file_is_called_what_it_is(content: bytes, said: str) -> None:
    found = foreign_format(content)
    assert found is not None
    assert found.startswith(said)


@pytest.mark.parametrize(
    "content",
    [
        model("scores = Neg (features)", outputs="float[batch,3] scores").SerializeToString(),
        zipped().SerializeToString(),
        b"",
        b"garbage",
    ],
)
def test_onnx_and_what_nobody_knows_are_not_named(content: bytes) -> None:
    assert foreign_format(content) is None
