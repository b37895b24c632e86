"""Gives one row its set or interval, in plain floats; the definitions are those of `stability.conformal`."""

import math
from collections.abc import Sequence

from chainzrule.service.stability.lone.link import Row


def label_set(probabilities: Row, label: int, least: float, ordered: bool) -> Sequence[int]:
    """Returns the indices of the labels in the row's set."""
    found = [index for index, probability in enumerate(probabilities) if probability >= least]
    return range(min(found[0], label), max(found[-1], label) + 1) if ordered and found else found


def interval(value: float, expected: float, error: float) -> list[float | None]:
    """Returns the ends of the interval around a predicted number; they are None where they are infinite."""
    half = error * expected
    return [value - half, value + half] if half < math.inf else [None, None]
