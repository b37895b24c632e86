"""Loads Yelp Review Full as a data set: five ordered levels, every text encoded by a fixed encoding."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import NumericFeature
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.fingerprint import fingerprint_arrays
from chainzrule.training.data.noise import default_noise
from chainzrule.training.text.encoded import TextFile, encoded
from chainzrule.training.text.encoding import Encoding
from chainzrule.training.text.reviews import LEVELS, read_yelp_full

CHUNK = 1 << 14  # rows that are read at a time

Floats = NDArray[np.float64]


def yelp_full(folder: Path, encoding: Encoding, progress: bool = False) -> Dataset:
    """Returns the official `train.csv` and `test.csv` of a folder, encoded once; the encodings stay on disk.

    Raises:
        DataError: a file cannot be read or is damaged; names it and the line.
    """
    files = [TextFile(folder / name, read_yelp_full) for name in ("train.csv", "test.csv")]
    train, test = encoded(files, encoding, progress)
    content: dict[str, NDArray[Any]] = {
        "train x": train.x,
        "train y": train.levels,
        "test x": test.x,
        "test y": test.levels,
    }
    return Dataset(
        task="ordinal",
        target="stars",
        target_unit=None,
        features=tuple(_features(encoding, train.x)),
        layout=None,
        labels=tuple(str(level + 1) for level in range(LEVELS)),
        train=Rows(train.x, train.levels),
        test=Rows(test.x, test.levels),
        fingerprint=fingerprint_arrays(content),
    )


def _features(encoding: Encoding, x: NDArray[np.float32]) -> list[NumericFeature]:
    mean, std, low, high = _statistics(x)
    still = std < np.finfo(np.float32).tiny  # constant columns carry no information, and their weights will be 0
    return [
        NumericFeature(
            name=name,
            mean=float(mean[place]),
            std=1.0 if still[place] else float(std[place]),
            low=float(low[place]),
            high=float(high[place]),
            noise=0.0 if still[place] else default_noise(float(std[place]), len(x)),
        )
        for place, name in enumerate(encoding.names)
    ]


def _statistics(x: NDArray[np.float32]) -> tuple[Floats, Floats, NDArray[np.float32], NDArray[np.float32]]:
    """Returns mean, standard deviation, minimum and maximum of every column, in float64 and chunk by chunk."""
    chunks = [x[start : start + CHUNK] for start in range(0, len(x), CHUNK)]  # these are views, no copies
    mean = np.sum([chunk.sum(axis=0, dtype=np.float64) for chunk in chunks], axis=0) / len(x)
    squares = np.sum([np.square(chunk.astype(np.float64) - mean).sum(axis=0) for chunk in chunks], axis=0)
    low = np.min([chunk.min(axis=0) for chunk in chunks], axis=0)
    high = np.max([chunk.max(axis=0) for chunk in chunks], axis=0)
    return mean, np.sqrt(squares / len(x)), low, high
