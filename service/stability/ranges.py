"""Finds the features of a row that lie outside the ranges that training saw."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Matrix = NDArray[np.float32]


class Ranges:
    """Holds the minimum and the maximum that training saw of every numeric feature.

    Attributes:
        names: the names of the numeric features, in order.
        columns: (features,) their columns in an encoded row.
        low: (features,) their minima.
        high: (features,) their maxima.
        pooled: whether they are the pixels of one feature, which are too many to be counted one by one.
    """

    def __init__(
        self,
        names: Sequence[str],
        columns: Indices,
        low: Sequence[float],
        high: Sequence[float],
        width: int,
        pooled: bool = False,
    ) -> None:
        self.names = tuple(names)
        self.columns = columns
        # The ranges are float32 like the rows, so that rounding never puts the training data's own extremes outside.
        self.low = np.array(low, dtype=np.float32)
        self.high = np.array(high, dtype=np.float32)
        self.pooled = pooled
        self.whole = len(columns) == width

    def outside(self, matrix: Matrix) -> Mask:
        """Returns (rows, features) whether each numeric feature of encoded rows, (rows, D), is out of range."""
        return outside(matrix if self.whole else matrix[:, self.columns], self.low, self.high)

    def named(self, outside: Mask) -> list[str]:
        """Returns the names of the features that one row of `outside`, (features,), says are out of range."""
        return [self.names[feature] for feature in np.flatnonzero(outside).tolist()]

    def counted(self, outside: Mask) -> dict[str, int]:
        """Returns in how many rows of `outside`, (rows, features), each feature is out of range; omits the zeros."""
        if self.pooled:
            return {}
        counts = outside.sum(axis=0).tolist()
        return {name: rows for name, rows in zip(self.names, counts, strict=True) if rows}


def outside(values: Matrix, low: NDArray[np.floating], high: NDArray[np.floating]) -> Mask:
    """Returns whether each value, (rows, columns), lies outside its column's range, compared in float32."""
    lowest, highest = low.astype(np.float32, copy=False), high.astype(np.float32, copy=False)
    return np.asarray((values < lowest) | (values > highest))
