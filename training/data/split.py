"""Splits rows into those to train on and those kept apart for the test."""

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

TEST_SHARE = 0.2
FEWEST_ROWS = 2000  # with fewer, a fifth of them is too small a test; every row is scored out of fold instead


def split_rows(
    rows: int, classes: NDArray[np.int64] | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Returns the ascending row indices to train on and to test with; the latter are None below 2,000 rows.

    Args:
        rows: how many there are.
        classes: (rows,) label indices, whose shares both parts keep; None where there are none.
        seed: the same seed gives the same split.
    """
    every = np.arange(rows, dtype=np.int64)
    if rows < FEWEST_ROWS:
        return every, None
    train, test = train_test_split(every, test_size=TEST_SHARE, stratify=classes, random_state=seed)
    return np.sort(train), np.sort(test)
