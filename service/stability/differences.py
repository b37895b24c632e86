"""Derivatives by central differences: for graphs that are smooth and have no derivative of their own."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Scores = Callable[[Matrix], Matrix]

CHUNK = 2**22  # input values of one run


def central_differences(scores: Scores, features: Matrix, columns: NDArray[np.int64], steps: Matrix) -> Matrix:
    """(rows, S, D) d scores / d features in raw units; 0 in columns that are not named.

    Every row costs two rows a column, all of them in one run unless that would be over `CHUNK` values. The error is of
    the second order in the step, and of the scores' rounding over the step.

    Args:
        scores: (rows, S) scores of rows.
        features: (rows, D).
        columns: those to differentiate.
        steps: (columns,) how far to go each way, in raw units.
    """
    width, count = features.shape[1], len(columns)
    each = np.arange(count)
    parts = []
    for start in range(0, len(features), max(1, CHUNK // (2 * count * width))):
        part = features[start : start + max(1, CHUNK // (2 * count * width))]
        moved = np.repeat(part[:, None, None], 2 * count, axis=1).reshape(len(part), 2, count, width)
        moved[:, 0, each, columns] += steps
        moved[:, 1, each, columns] -= steps
        # The distance as float32 has it, not as it was meant.
        apart = moved[:, 0, each, columns].astype(np.float64) - moved[:, 1, each, columns]
        found = scores(moved.reshape(-1, width)).astype(np.float64).reshape(len(part), 2, count, -1)
        jacobian = np.zeros((len(part), found.shape[3], width), np.float32)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            slopes = (found[:, 0] - found[:, 1]) / apart[:, :, None]
            jacobian[:, :, columns] = slopes.transpose(0, 2, 1)
        parts.append(jacobian)
    return np.concatenate(parts)
