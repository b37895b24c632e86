"""Computes the standard deviation of the reported output under noise, by Gauss-Hermite quadrature in score space.

The output's first-order variation under the noise is g^T C^(1/2) z; the scores' mean displacement given that variation
is t u with u = C g / sqrt(g^T C g) and t standard normal. Following the output itself along t u, rather than its
tangent, keeps the measure true when the noise is not small. Where a lead varies by much, the output is nearly a step
along that line, which seven nodes miss by a quarter; there the rule is as fine as the step is steep.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.link import Indices, other_share, sigmoid

Floats = NDArray[np.float64]
Rows = slice | Indices


class Rule(NamedTuple):
    """Holds nodes and weights of a rule for the mean of a function of a standard normal variable."""

    nodes: Floats
    weights: Floats


WIDE = 2.0  # standard deviations of a lead up to which seven nodes are within 2% of the truth
REACH = 8.0  # a standard normal variable is never further away
FINEST = 6  # halvings of the step; a finer one would change the last digit of a step's spread
MOST_VALUES = 2**18  # at the nodes of wide rows in one piece, which bounds their memory


def _usual() -> Rule:
    nodes, weights = np.polynomial.hermite_e.hermegauss(7)
    return Rule(nodes, weights / weights.sum())


USUAL = _usual()  # the 7-point Gauss-Hermite rule


def halvings_of(width: float) -> int:
    """Returns how often the step of the rule is halved for leads of that standard deviation."""
    return min(FINEST, math.ceil(math.log2(width / WIDE)))


@lru_cache(maxsize=FINEST + 1)
def fine_rule(halvings: int) -> Rule:
    """Returns a rule of equal steps, which errs by exp(-2 pi^2 / (width x step)): less than 1e-8 for its width."""
    nodes = np.linspace(-REACH, REACH, 2 ** (5 + halvings) + 1)
    weights = np.exp(-nodes * nodes / 2.0)
    return Rule(nodes, weights / weights.sum())


def of_two_labels(margin: Floats, sd: Floats) -> Floats:
    """Returns the (rows,) volatility of a label's probability, whose margin over the one other label is normal.

    Args:
        margin: (rows,) the mean of the margin under the noise.
        sd: (rows,) the standard deviation of the margin.
    """

    def spread(rows: Rows, rule: Rule) -> Floats:
        return _spread(other_share(margin[rows, None] + sd[rows, None] * rule.nodes), rule)

    return _by_width(sd, 1, spread)


def of_label(margin: Floats, C: Floats, gradient: Floats, label: Indices) -> Floats:
    """Returns the (rows,) volatility of a label's probability, from the other labels' share, which is exact if tiny.

    Args:
        margin: (rows, S) the label's lead over each score; infinite over itself.
        C: (rows, S, S) covariance of the scores.
        gradient: (rows, S) the probability's gradient.
        label: (rows,) the labels.
    """
    delta, u = _direction(C, gradient)
    ahead = u[np.arange(len(u)), label][:, None] - u

    def spread(rows: Rows, rule: Rule) -> Floats:
        # The scores are the first axis, so that sums over them are sums of whole arrays, which numpy does fastest.
        return _spread(other_share(margin[rows].T[:, :, None] + ahead[rows].T[:, :, None] * rule.nodes, axis=0), rule)

    return np.where(delta > 0, _by_width(np.abs(ahead).max(axis=1), margin.shape[1], spread), 0.0)


def of_expected_level(centre: Floats, C: Floats, gradient: Floats) -> Floats:
    """Returns the (rows,) volatility of an ordinal model's expected level around the scores `centre`, (rows, S)."""
    delta, u = _direction(C, gradient)

    def spread(rows: Rows, rule: Rule) -> Floats:
        return _spread(sigmoid(centre[rows, None, :] + rule.nodes[None, :, None] * u[rows, None, :]).sum(axis=-1), rule)

    return np.where(delta > 0, _by_width(np.abs(u).max(axis=1), centre.shape[1], spread), 0.0)


def _by_width(width: Floats, scores: int, spread: Callable[[Rows, Rule], Floats]) -> Floats:
    """Returns (rows,) spreads, each by the rule for the standard deviation of its row's lead, (rows,)."""
    wide = width > WIDE
    if not wide.any():
        return spread(slice(None), USUAL)
    found = np.zeros(len(width))
    found[~wide] = spread(np.flatnonzero(~wide), USUAL)
    halvings = np.zeros(len(width), np.int64)
    halvings[wide] = np.minimum(FINEST, np.ceil(np.log2(width[wide] / WIDE)))
    for count in np.unique(halvings[wide]).tolist():
        rule, rows = fine_rule(count), np.flatnonzero(wide & (halvings == count))
        size = max(1, MOST_VALUES // (scores * len(rule.nodes)))
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            found[part] = spread(part, rule)
    return found


def _direction(C: Floats, gradient: Floats) -> tuple[Floats, Floats]:
    """Returns the (rows,) first-order standard deviation delta = sqrt(g^T C g) and the (rows, S) direction u."""
    Cg = (C @ gradient[:, :, None])[:, :, 0]
    delta = np.sqrt(np.maximum(np.einsum("ns,ns->n", gradient, Cg), 0.0))
    return delta, Cg / np.where(delta > 0, delta, 1.0)[:, None]


def _spread(moved: Floats, rule: Rule) -> Floats:
    """Returns the (rows,) standard deviation of outputs, given at a rule's nodes, (rows, nodes)."""
    mean = moved @ rule.weights
    return np.asarray(np.sqrt(np.square(moved - mean[:, None]) @ rule.weights))
