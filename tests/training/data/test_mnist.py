import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from chainzrule.training.data import mnist
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.idx import read_idx
from chainzrule.training.data.mnist import CHECKSUMS, fetch_mnist, load_idx, load_mnist
from tests.training.data.mirrors import Mirror

DATA = Path(__file__).parents[2] / "data"
TEST_CHECKSUMS = {name: sha256 for name, sha256 in CHECKSUMS.items() if name.startswith("t10k")}


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def small(rng):
    """The four files of a small set in MNIST's format: 40 and 20 images of 4 x 6."""
    content = {}
    for part, rows in (("train", 40), ("t10k", 20)):
        content[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (rows, 4, 6)).astype(np.uint8)
        content[f"{part}-labels-idx1-ubyte"] = (np.arange(rows) % 10).astype(np.uint8)
    return content


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def write(folder, content, spelling="{}", pack=bytes):
    folder.mkdir(exist_ok=True)
    for name, array in content.items():
        (folder / spelling.format(name)).write_bytes(pack(idx(array)))
    return folder


def checksums(content):
    return {name: hashlib.sha256(idx(array)).hexdigest() for name, array in content.items()}


def test_the_committed_test_digits_are_those_of_mnist():
    images = read_idx(DATA / "t10k-images-idx3-ubyte.gz", 3, CHECKSUMS["t10k-images-idx3-ubyte"])
    labels = read_idx(DATA / "t10k-labels-idx1-ubyte.gz", 1, CHECKSUMS["t10k-labels-idx1-ubyte"])
    assert images.shape == (10000, 28, 28)
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_one_description_serves_all_pixels_and_is_that_of_the_training_images(tmp_path, small):
    data = load_idx(write(tmp_path, small), checksums(small))
    pixels = small["train-images-idx3-ubyte"].astype(np.float64)
    (pixel,) = data.features
    assert (pixel.name, pixel.unit, pixel.low, pixel.high) == ("pixel", "grey level", 0, 255)
    assert pixel.mean == pytest.approx(pixels.mean(), rel=1e-12)
    assert pixel.std == pytest.approx(pixels.std(), rel=1e-12)
    assert pixel.noise == pytest.approx(pixel.std / 10)
    assert (data.layout.height, data.layout.width) == (4, 6)
    assert (data.task, data.target, data.labels) == ("classification", "digit", tuple("0123456789"))
    assert data.train.x.dtype == np.float32
    assert data.train.y.dtype == np.int64
    assert np.array_equal(data.train.x, pixels.reshape(40, 24))
    assert np.array_equal(data.test.x, small["t10k-images-idx3-ubyte"].reshape(20, 24))
    assert np.array_equal(data.test.y, small["t10k-labels-idx1-ubyte"])


@pytest.mark.parametrize(("spelling", "pack"), [("{}", bytes), ("{}.gz", gzip.compress), (".idx", bytes)])
def test_every_spelling_gives_the_same_data_and_fingerprint(tmp_path, small, spelling, pack):
    plain = load_idx(write(tmp_path / "a", small))
    if spelling == ".idx":
        small_dotted = {name.replace("-idx", ".idx"): array for name, array in small.items()}
        other = load_idx(write(tmp_path / "b", small_dotted))
    else:
        other = load_idx(write(tmp_path / "b", small, spelling, pack))
    assert other.fingerprint == plain.fingerprint
    assert np.array_equal(other.train.x, plain.train.x)


def test_the_fingerprint_covers_every_pixel_and_label(tmp_path, small):
    prints = {load_idx(write(tmp_path, small)).fingerprint}
    for name in small:
        small[name].flat[0] ^= 1
        prints.add(load_idx(write(tmp_path, small)).fingerprint)
    assert len(prints) == 5


def test_a_directory_is_verified_unless_asked_otherwise(tmp_path, small):
    write(tmp_path, small)
    with pytest.raises(DataError, match="train-images-idx3-ubyte: not the expected content"):
        load_mnist(tmp_path)
    assert load_mnist(tmp_path, verify=False).target == "label"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train-labels-idx1-ubyte", lambda labels: labels[:-1], "40 images but 39 labels"),
        ("train-labels-idx1-ubyte", lambda labels: labels * 0, "1 classes"),
        ("train-labels-idx1-ubyte", lambda labels: labels + 60, "70 classes"),
        ("t10k-labels-idx1-ubyte", lambda labels: labels + 1, "label 10"),
        ("t10k-images-idx3-ubyte", lambda images: images[:, 1:], r"size \(3, 6\)"),
        ("train-images-idx3-ubyte", lambda images: images * 0, "same value"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(tmp_path, small, name, change, message):
    small[name] = change(small[name])
    with pytest.raises(DataError, match=message):
        load_idx(write(tmp_path, small))


def test_a_missing_directory_and_a_missing_file_are_named(tmp_path, small):
    with pytest.raises(DataError, match="nowhere: no such directory"):
        load_mnist(tmp_path / "nowhere")
    write(tmp_path, small)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte"):
        load_mnist(tmp_path, verify=False)


@pytest.fixture
def mirror(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    mirror = Mirror()
    for name in TEST_CHECKSUMS:
        mirror.put("sound", f"{name}.gz", (DATA / f"{name}.gz").read_bytes())
    yield mirror
    mirror.close()


def test_downloads_real_digits_once(tmp_path, mirror):
    for _ in range(2):
        folder = fetch_mnist(tmp_path / "cache", [mirror.url("sound")], TEST_CHECKSUMS)
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.gz" for name in TEST_CHECKSUMS)
    assert len(mirror.asked) == 2


def test_the_second_mirror_serves_where_the_first_fails(tmp_path, mirror):
    folder = fetch_mnist(tmp_path, ["http://127.0.0.1:9/", mirror.url("gone"), mirror.url("sound")], TEST_CHECKSUMS)
    assert read_idx(folder / "t10k-labels-idx1-ubyte.gz", 1).shape == (10000,)
    assert [path.split("/")[1] for path in mirror.asked] == ["gone", "sound"] * 2


LABELS = (DATA / "t10k-labels-idx1-ubyte.gz").read_bytes()


@pytest.mark.parametrize(
    ("body", "declared", "message"),
    [
        (b"<html>sign in</html>", None, "not an IDX file"),
        (gzip.compress(idx(np.zeros(10000, np.uint8)), mtime=0), None, "sha256"),
        (LABELS[:-100], None, "cannot be read"),
        (LABELS[:1000], len(LABELS), "cut short: 1000 of 4517"),
        (LABELS + bytes(70 << 20), None, "longer than the"),
    ],
)
def test_a_damaged_download_is_refused_and_not_kept(tmp_path, mirror, body, declared, message):
    checksums = {"t10k-labels-idx1-ubyte": CHECKSUMS["t10k-labels-idx1-ubyte"]}
    mirror.put("bad", "t10k-labels-idx1-ubyte.gz", body, declared)
    with pytest.raises(DataError, match=message) as error:
        fetch_mnist(tmp_path, [mirror.url("bad")], checksums)
    assert "give a directory" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(tmp_path, mirror):
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(LABELS[:99])
    fetch_mnist(tmp_path, [mirror.url("sound")], TEST_CHECKSUMS)
    assert (tmp_path / "t10k-labels-idx1-ubyte.gz").read_bytes() == LABELS


def test_a_cache_that_cannot_be_written_is_named(tmp_path, mirror):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="file: cannot be written"):
        fetch_mnist(tmp_path / "file", [mirror.url("sound")], TEST_CHECKSUMS)


def test_without_a_directory_the_cache_is_used(tmp_path, small, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(mnist, "CHECKSUMS", checksums(small))
    monkeypatch.setattr(mnist.fetch_mnist, "__defaults__", (None, (), mnist.CHECKSUMS))
    folder = tmp_path / "chainzrule" / "mnist"
    folder.mkdir(parents=True)
    write(folder, small, "{}.gz", gzip.compress)
    assert len(load_mnist().train) == 40
