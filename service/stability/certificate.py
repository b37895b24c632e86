"""Derives from bounds on the scores what is guaranteed of the label, the probabilities and the value.

Where no bound was found, the arrays hold infinities or NaN, and nothing is ever concluded from those.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.link import Classification, Link, Ordinal, sigmoid
from chainzrule.service.stability.normal import tail

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Ends = tuple[Floats, Floats]  # the minimum and the maximum of each value

# The largest error of a softmax or sigmoid in float32, and of a sum of at most 64 of them (docs/certificates.md).
ROUNDING = 1e-5


class Conclusions(NamedTuple):
    """Holds what follows from bounds on the scores; a field is None where the task has no such output.

    Attributes:
        certain: (rows,) whether the label provably cannot change.
        probabilities: (rows, K) minimum and maximum of each probability.
        value: (rows,) minimum and maximum of the reported output.
        levels: (rows,) lowest and highest level that can be reached.
    """

    certain: Mask | None = None
    probabilities: Ends | None = None
    value: Ends | None = None
    levels: tuple[Indices, Indices] | None = None


def conclude(
    link: Link, label: Indices, lower: Floats, upper: Floats, margin_lower: Floats, margin_upper: Floats
) -> Conclusions:
    """Returns what follows from the bounds of the scores and, for a classification, of the margins, all (rows, S)."""
    if not link.has_labels:
        return Conclusions(value=(lower[:, 0], upper[:, 0]))
    certain = label_is_certain(link, label, lower, upper, margin_lower)
    if isinstance(link, Ordinal):
        return Conclusions(
            certain,
            level_probability_bounds(lower, upper),
            expected_level_bounds(lower, upper),
            reachable_levels(lower, upper),
        )
    return Conclusions(certain, probability_bounds(label, margin_lower, margin_upper))


def label_is_certain(link: Link, label: Indices, lower: Floats, upper: Floats, margin_lower: Floats) -> Mask:
    """Returns (rows,) whether no score within its bounds changes the label.

    A classification is judged by the lower bounds of the label's margins, (rows, S), any other task by the scores'.
    """
    scores = np.arange(lower.shape[1])
    if isinstance(link, Classification):
        return np.asarray(((margin_lower > 0) | (scores == label[:, None])).all(axis=1))
    return np.asarray(np.where(scores < label[:, None], lower > 0, upper <= 0).all(axis=1))


def leaving_probability(below: Floats, above: Floats, noise: Floats) -> Floats:
    """Returns (rows,) the chance, or more, that normal noise takes an input out of its box; at most 1.

    It is the sum of the chances of all columns, so it holds however their noise is correlated.

    Args:
        below: (rows, D) how far each box reaches below the row.
        above: (rows, D) how far it reaches above.
        noise: (D,) one sigma of the noise of each column; columns without noise never leave.
    """
    noisy = noise > 0
    chance = tail(below[:, noisy] / noise[noisy]) + tail(above[:, noisy] / noise[noisy])
    return np.asarray(np.minimum(chance.sum(axis=1), 1.0))


def flip_factor(
    link: Link, scores: NDArray[np.float32], jacobian: NDArray[np.float32], label: Indices, radius: Floats
) -> Floats:
    """Returns the (rows,) factor by which each box can grow until the label changes, to first order; infinite if never.

    Args:
        link: what the scores mean.
        scores: (rows, S) the scores.
        jacobian: (rows, S, D) the derivative of the scores, in raw units.
        label: (rows,) the labels.
        radius: (rows, D) half the width of each box, in raw units.
    """
    if not link.has_labels:
        return np.full(len(scores), np.inf)
    s, slope = scores.astype(np.float64), jacobian.astype(np.float64)
    if isinstance(link, Classification):
        own = label[:, None]
        s, slope = np.take_along_axis(s, own, axis=1) - s, np.take_along_axis(slope, own[:, :, None], axis=1) - slope
        s[np.arange(len(s)), label] = np.inf
    moved = (np.abs(slope) * radius[:, None, :]).sum(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(moved > 0, np.abs(s) / moved, np.inf)
    return np.asarray(factor.min(axis=1))


def reachable_levels(lower: Floats, upper: Floats) -> tuple[Indices, Indices]:
    """Returns the (rows,) lowest and the (rows,) highest level that an ordinal model can answer."""
    return (lower > 0).sum(axis=1), (~(upper <= 0)).sum(axis=1)


def probability_bounds(label: Indices, margin_lower: Floats, margin_upper: Floats) -> tuple[Floats, Floats]:
    """Returns the (rows, K) bounds of a classification's probabilities, from the bounds of the label's margins.

    The probability of k is 1 / sum_j exp(s_j - s_k) with s_j - s_k = margin_k - margin_j: it is smallest where margin_k
    is largest and all the others are smallest. The label's own margin is 0.
    """
    own = np.arange(margin_lower.shape[1]) == label[:, None]
    low, high = np.where(own, 0.0, margin_lower), np.where(own, 0.0, margin_upper)
    return np.maximum(_share(high, low) - ROUNDING, 0.0), np.minimum(_share(low, high) + ROUNDING, 1.0)


def level_probability_bounds(lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Returns the (rows, K) bounds of an ordinal model's probabilities, whose scores f - b_k all move with f.

    A level's probability has its peak where f is halfway between the level's two thresholds, and falls on both sides.
    So its minimum is at an end of f's range, and its maximum at the point of the range that is nearest to the peak.
    """
    link = Ordinal()
    ends = link.probabilities(lower), link.probabilities(upper)
    low, high = np.minimum(*ends), np.maximum(*ends)
    moved = (upper - lower).max(axis=1, keepdims=True)
    below, above = lower[:, :-1], lower[:, 1:]
    peak = np.clip(-(below + above) / 2, 0.0, moved)
    high[:, 1:-1] = np.maximum(high[:, 1:-1], sigmoid(below + peak) - sigmoid(above + peak))
    return np.maximum(low - ROUNDING, 0.0), np.minimum(high + ROUNDING, 1.0)


def expected_level_bounds(lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Returns the (rows,) bounds of an ordinal model's value, the expected level, which rises with f."""
    return sigmoid(lower).sum(axis=1) - ROUNDING, sigmoid(upper).sum(axis=1) + ROUNDING


def _share(own: Floats, others: Floats) -> Floats:
    """Returns the (rows, K) values 1 / (1 + sum over j != k of exp(own_k - others_j))."""
    with np.errstate(over="ignore", invalid="ignore"):
        odds = np.exp(own[:, :, None] - others[:, None, :])
    diagonal = np.arange(own.shape[1])
    odds[:, diagonal, diagonal] = 1.0
    return np.asarray(1.0 / odds.sum(axis=2))
