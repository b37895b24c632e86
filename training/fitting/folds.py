"""Splits rows into folds, each of which is judged by models that were fitted to the others."""

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


def folds(y: NDArray[np.generic], count: int, seed: int, stratified: bool) -> list[NDArray[np.int64]]:
    """Returns the row indices of `count` folds of equal size; stratified folds hold every label in the same share."""
    order = np.random.default_rng(seed).permutation(len(y))
    if stratified:
        order = order[np.argsort(y[order], kind="stable")]
    return [np.sort(order[first::count]) for first in range(count)]
