"""Computes derivatives by central differences, for models that are smooth but whose graphs give no derivative."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Matrix = NDArray[np.float32]
Scores = Callable[[Matrix], Matrix]

CHUNK = 2**22  # the largest number of input values in one run


def central_differences(
    scores: Scores, features: Matrix, columns: Indices, steps: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns the (rows, S, D) derivatives of the scores in raw units; 0 in columns that are not named.

    Every row takes two further rows for each column, all in one run unless they have more than `CHUNK` values. The
    error is the sum of the truncation, of second order in the step, and of the scores' rounding divided by the step.

    Args:
        scores: computes the (rows, S) scores of (rows, D) features.
        features: (rows, D) the rows.
        columns: the columns to differentiate by.
        steps: (columns,) the step in each direction, in raw units.
    """
    width, count = features.shape[1], len(columns)
    each = np.arange(count)
    parts = []
    for start in range(0, len(features), max(1, CHUNK // (2 * count * width))):
        part = features[start : start + max(1, CHUNK // (2 * count * width))]
        moved = np.repeat(part[:, None, None], 2 * count, axis=1).reshape(len(part), 2, count, width)
        moved[:, 0, each, columns] += steps
        moved[:, 1, each, columns] -= steps
        # The slopes are divided by the distance after rounding to float32, not by the intended one.
        apart = moved[:, 0, each, columns].astype(np.float64) - moved[:, 1, each, columns]
        found = scores(moved.reshape(-1, width)).astype(np.float64).reshape(len(part), 2, count, -1)
        jacobian = np.zeros((len(part), found.shape[3], width), np.float32)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            slopes = (found[:, 0] - found[:, 1]) / apart[:, :, None]
            jacobian[:, :, columns] = slopes.transpose(0, 2, 1)
        parts.append(jacobian)
    return np.concatenate(parts)
