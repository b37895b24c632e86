"""Builds a data set of grey images, in which one feature describes all pixels because all come from the same sensor."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import Layout, NumericFeature
from chainzrule.service.artifact.interface import MAX_SCORES
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.fingerprint import fingerprint_arrays
from chainzrule.training.data.noise import default_noise


def image_dataset(
    train: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    test: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None,
    *,
    target: str,
    unit: str,
    high: int,
    labels: Sequence[str],
) -> Dataset:
    """Builds a classification data set from images and their label indices.

    Args:
        train: images (rows, height, width) in `unit`, and labels (rows,).
        test: the same, kept apart; None where out-of-fold rows are to serve.
        target: name of what the labels say.
        unit: of a pixel's value.
        high: the largest value that a pixel can have; the smallest is 0.
        labels: names of the label indices.

    Raises:
        DataError: images without labels or of different sizes, labels without a name, or one grey level only.
    """
    parts = {"train": train} if test is None else {"train": train, "test": test}
    size = train[0].shape[1:]
    if not 2 <= len(labels) <= MAX_SCORES:
        raise DataError(f"{target}: {len(labels)} classes; between 2 and {MAX_SCORES} can be told apart")
    for part, (images, indices) in parts.items():
        if len(images) != len(indices):
            raise DataError(f"{part}: {len(images)} images but {len(indices)} labels; they must belong together")
        if images.shape[1:] != size:
            raise DataError(f"{part}: images of size {images.shape[1:]}, but those to train on have {size}")
        if indices.max() >= len(labels):
            raise DataError(f"{part}: label {indices.max()}, but the labels end at {len(labels) - 1}")
    mean, std, distinct = _moments(train[0])
    if std == 0:
        raise DataError("train: every pixel of every image has the same value; there is nothing to learn from")
    noise = default_noise(std, distinct)
    pixel = NumericFeature(name="pixel", unit=unit, mean=mean, std=std, low=0.0, high=float(high), noise=noise)
    content = {f"{part} {kind}": array for part, pair in parts.items() for kind, array in zip("xy", pair, strict=True)}
    return Dataset(
        task="classification",
        target=target,
        target_unit=None,
        features=(pixel,),
        layout=Layout(height=size[0], width=size[1]),
        labels=tuple(labels),
        train=_rows(*train),
        test=None if test is None else _rows(*test),
        fingerprint=fingerprint_arrays(content),
    )


def _rows(images: NDArray[np.uint8], indices: NDArray[np.uint8]) -> Rows:
    return Rows(images.reshape(len(images), -1).astype(np.float32), indices.astype(np.int64))


def _moments(images: NDArray[np.uint8]) -> tuple[float, float, int]:
    """Returns the mean, the standard deviation and the number of distinct grey levels of all pixels.

    They are computed from counts of the 256 levels, which is exact and needs no float copy of the images.
    """
    levels = np.arange(256, dtype=np.float64)
    counts = np.zeros(256)
    for image in images:
        counts += np.bincount(image.ravel(), minlength=256)
    mean = float(counts @ levels / counts.sum())
    variance = float(counts @ (levels - mean) ** 2 / counts.sum())
    return mean, variance**0.5, int(np.count_nonzero(counts))
