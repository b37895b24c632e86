"""Loads MNIST, 60,000 handwritten digits to train on and 10,000 to test with, from a directory or a public mirror."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from chainzrule.training.data.dataset import Dataset
from chainzrule.training.data.download import cache_folder, download
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.idx import find_idx, read_idx
from chainzrule.training.data.images import image_dataset

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
# The checksums are those of the decompressed content, because mirrors compress differently.
CHECKSUMS: Mapping[str, str] = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MOST_DOWNLOAD_BYTES = 64 << 20  # the largest file is 47 MB when it is not compressed


def load_mnist(directory: Path | None = None, verify: bool = True) -> Dataset:
    """Returns MNIST from the user's `directory`, or without one from the cache.

    The cache is filled from the mirrors when files are missing or damaged.

    Args:
        directory: holds the four files, plain or gzipped, as `...-ubyte` or in the `train-images.idx3-ubyte` spelling.
        verify: False accepts other content of the same format, such as Fashion-MNIST.

    Raises:
        DataError: a file is missing, damaged or not MNIST's, or no mirror could be reached.
    """
    if directory is None:
        directory = fetch_mnist()
        verify = True
    return load_idx(directory, CHECKSUMS if verify else None)


def load_idx(directory: Path, checksums: Mapping[str, str] | None = None) -> Dataset:
    """Returns images and labels from the four IDX files of the MNIST family; `checksums` of their content are optional.

    With checksums the labels are MNIST's digits. Without, they are the numbers from 0 to the largest label trained on.
    """
    if not directory.is_dir():
        raise DataError(f"{directory}: no such directory; it must hold the four IDX files")
    images, labels, test_images, test_labels = (
        read_idx(find_idx(directory, name), 3 if "images" in name else 1, checksums[name] if checksums else None)
        for name in CHECKSUMS
    )
    return image_dataset(
        (images, labels),
        (test_images, test_labels),
        target="digit" if checksums else "label",
        unit="grey level",
        high=255,
        labels=[str(label) for label in range(int(labels.max()) + 1)],
    )


def fetch_mnist(
    folder: Path | None = None, mirrors: Sequence[str] = MIRRORS, checksums: Mapping[str, str] = CHECKSUMS
) -> Path:
    """Returns the cache folder once it holds valid copies of the files of `checksums`.

    Raises:
        DataError: a file is not there and no mirror gives it; says how to go on without a network.
    """
    folder = cache_folder("mnist") if folder is None else folder
    for name, sha256 in checksums.items():

        def check(path: Path, name: str = name, sha256: str = sha256) -> None:
            read_idx(path, 3 if "images" in name else 1, sha256)

        try:
            check(folder / f"{name}.gz")
        except DataError:  # the file is missing or damaged
            try:
                download(f"{name}.gz", mirrors, folder, check, MOST_DOWNLOAD_BYTES)
            except DataError as error:
                raise DataError(f"MNIST: {error}; without a network, give a directory that holds its files") from error
    return folder
