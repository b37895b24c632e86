"""Defines what one row's scores mean, in plain floats; the definitions are those of `stability.link`."""

import math
from typing import NamedTuple

Row = list[float]


class LoneReading(NamedTuple):
    """Holds one row of a `link.Reading`, field by field."""

    label: int
    value: float
    gradient: Row


def read_two_labels(s: Row) -> LoneReading:
    """Returns the reading of two logits, from their one margin."""
    label = 0 if s[0] >= s[1] else 1
    other = sigmoid(s[1 - label] - s[label])
    slope = other * (1.0 - other)
    return LoneReading(label, 1.0 - other, [-slope, slope] if label else [slope, -slope])


def read_many_labels(s: Row) -> LoneReading:
    """Returns the reading of K logits; the label's probability is exact where the softmax is saturated."""
    top = max(s)
    label = s.index(top)
    odds = [math.exp(score - top) for score in s]
    odds[label] = 0.0
    others = sum(odds)
    value = 1.0 / (1.0 + others)
    gradient = [odd * -value * value for odd in odds]
    gradient[label] = others * value * value
    return LoneReading(label, value, gradient)


def read_levels(s: Row) -> LoneReading:
    """Returns the reading of an ordinal model's scores."""
    levels = [sigmoid(score) for score in s]
    gradient = [level * sigmoid(-score) for level, score in zip(levels, s, strict=True)]
    return LoneReading(sum(score > 0 for score in s), sum(levels), gradient)


def other_share(s: Row, label: int) -> float:
    """Returns the probability of all labels but one; it stays precise where it is tiny."""
    top = max(s)
    odds = [math.exp(score - top) for score in s]
    own, odds[label] = odds[label], 0.0
    others = sum(odds)
    return others / (others + own)


def expected_level(s: Row) -> float:
    """Returns an ordinal model's expected level."""
    return sum(map(sigmoid, s))


def sigmoid(x: float) -> float:
    """Returns 1 / (1 + exp(-x)) without overflow."""
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
