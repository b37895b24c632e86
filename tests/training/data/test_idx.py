import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainzrule.training.data.errors import DataError
from chainzrule.training.data.idx import find_idx, read_idx


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


IMAGES = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_plain_and_gzipped_files_by_content(tmp_path, pack):
    path = tmp_path / "images"
    path.write_bytes(pack(idx(IMAGES)))
    assert np.array_equal(read_idx(path, 3, hashlib.sha256(idx(IMAGES)).hexdigest()), IMAGES)


SOUND = idx(IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"<html>not found</html>", "not an IDX file"),
        (b"\0\0\x0d" + SOUND[3:], "not an IDX file"),
        (idx(IMAGES[0]), "not an IDX file of 3-dimensional"),
        (SOUND[:9], "inside its header"),
        (SOUND[:-1], "cut short: 29 of 30"),
        (SOUND + b"x", "longer than its header"),
        (gzip.compress(SOUND, mtime=0)[:-9], "cannot be read"),
        (gzip.compress(SOUND, mtime=0)[:12] + b"\xff\xff" + gzip.compress(SOUND, mtime=0)[14:], "cannot be read"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 2**31, 2**31, 4), "its header declares"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 0, 28, 28), "its header declares"),
    ],
)
def test_refuses_damage_and_names_the_file(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_idx(path, 3)
    assert path.name in str(error.value)


def test_refuses_other_content_than_the_checksum(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(SOUND)
    with pytest.raises(DataError, match="sha256"):
        read_idx(path, 3, "0" * 64)


def test_a_compressed_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(SOUND)
        for _ in range(64):
            file.write(bytes(1 << 20))
    with pytest.raises(DataError, match="longer than its header"):
        read_idx(path, 3)


def test_a_missing_file_is_named_in_all_its_spellings(tmp_path):
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte .*train-images\.idx3-ubyte\.gz"):
        find_idx(tmp_path, "train-images-idx3-ubyte")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_happened_to_a_file_the_answer_is_an_array_or_a_data_error(tmp_path: Path, data):
    content = bytearray(data.draw(st.sampled_from([SOUND, gzip.compress(SOUND, mtime=0)])))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "file"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        array = read_idx(path, 3)
    except DataError:
        return
    assert array.ndim == 3
