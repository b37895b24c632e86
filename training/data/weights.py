"""Computes statistics of weighted rows, and merges equal rows into one."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def moments(values: Floats, weights: Floats | None, axis: int | None = 0) -> tuple[Floats, Floats]:
    """Returns mean and standard deviation along an axis, or over everything, with each row counted by its weight."""
    if weights is None:
        return np.asarray(values.mean(axis=axis)), np.asarray(values.std(axis=axis))
    share = (weights / weights.sum()).reshape(-1, *[1] * (values.ndim - 1))
    if axis is None:
        share = np.broadcast_to(share, values.shape) * (len(values) / values.size)
    mean = (share * values).sum(axis=axis)
    return np.asarray(mean), np.sqrt((share * np.square(values - mean)).sum(axis=axis))


def median(values: Floats, weights: Floats | None) -> float:
    """Returns the median; with weights it is the first value at which the cumulative weight reaches half of the sum."""
    if weights is None:
        return float(np.median(values))
    return float(np.quantile(values, 0.5, weights=weights, method="inverted_cdf"))


def merge(rows: Floats, weights: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Returns the index of the first occurrence of each distinct row, gaps included, and the sum of its weights.

    Whether a row is repeated or weighted, and in which order rows come, then makes no difference to the last bit.
    """
    content = np.ascontiguousarray(rows + 0.0)  # + 0.0 turns -0.0 into 0.0, because rows are compared byte by byte
    content[np.isnan(content)] = np.nan
    _, first, place = np.unique(
        content.view(np.dtype((np.void, content.dtype.itemsize * content.shape[1])))[:, 0],
        return_index=True,
        return_inverse=True,
    )
    return first.astype(np.int64), np.asarray(np.bincount(place, weights=weights), np.float64)
