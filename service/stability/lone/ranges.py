"""Tells whether one row lies outside the training ranges, in plain floats where it has few columns."""

from operator import gt, lt

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.ranges import Ranges

FEW_COLUMNS = 64  # up to this many, plain comparisons are quicker than numpy's calls


class LoneRanges:
    """Holds the ranges of a card, for checking single rows."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self._few = ranges.whole and len(ranges.low) <= FEW_COLUMNS
        self._low, self._high = ranges.low.tolist(), ranges.high.tolist()

    def is_outside(self, row: NDArray[np.float32]) -> bool:
        """Returns whether any numeric feature of an encoded row, (1, D), is out of range."""
        if not self._few:
            return bool(self._ranges.outside(row).any())
        values = row[0].tolist()
        return any(map(lt, values, self._low)) or any(map(gt, values, self._high))
