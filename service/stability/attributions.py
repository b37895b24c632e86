"""Attributes an output to the inputs by integrated gradients, so that the parts add up to what the output moved by.

The gradient is integrated along a path from a baseline to the row. The path is straight on the scales that the model
reads, so along it the scores of a polynomial network are a polynomial. Gauss-Legendre quadrature integrates that
exactly: n nodes are enough for scores of degree 2 n, so two hidden layers of degree k take k^2 / 2.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import Bend
from chainzrule.service.stability.link import Classification, Link

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Matrix = NDArray[np.float32]

# The numbers of nodes to try in turn: exact for two quadratic layers, two cubic ones, three cubic ones; then for
# models that are no polynomials, as far as is worth it.
NODES = (2, 5, 14, 32, 64)
TOLERANCE = 1e-6  # of the largest score on the row's path: about what float32 gives


class Stations(NamedTuple):
    """Holds the points of each path at which the gradient is taken.

    Attributes:
        points: (rows, nodes, D) the points, in raw units.
        steps: (rows, nodes, D) how far each point stands for, in raw units.
    """

    points: Matrix
    steps: Floats


class Paths:
    """Leads from baselines to rows, straight on the scales that the model reads."""

    def __init__(self, baseline: Matrix, rows: Matrix, bends: Sequence[tuple[int, Bend]]) -> None:
        """Takes the ends of the paths, both (rows, D), and the columns that are bent, with their scales."""
        self._start = baseline.astype(np.float64)
        self._moved = rows - self._start
        self._columns = np.array([column for column, _ in bends], np.int64)
        self._at = np.array([bend.start for _, bend in bends])
        self._scale = np.array([bend.scale for _, bend in bends])
        self._bent = self._place(self._start)
        self._bent_moved = self._place(rows.astype(np.float64)) - self._bent

    def stations(self, nodes: int, part: slice) -> Stations:
        """Returns the stations of some of the paths for a quadrature of so many nodes."""
        place, weight = _quadrature(nodes)
        moved = self._moved[part, None]
        points = self._start[part, None] + place[:, None] * moved
        steps = np.broadcast_to(weight[:, None] * moved, points.shape)
        if len(self._columns):
            bent = self._bent[part, None] + place[:, None] * self._bent_moved[part, None]
            points[:, :, self._columns] = self._at + self._scale * np.sinh(bent)
            steps = steps.copy()
            steps[:, :, self._columns] = weight[:, None] * self._scale * np.cosh(bent) * self._bent_moved[part, None]
        return Stations(points.astype(np.float32), steps)

    def _place(self, values: Floats) -> Floats:
        return np.asarray(np.arcsinh((values[:, self._columns] - self._at) / self._scale))


def attributed(link: Link, label: Indices, over: Indices, scores: NDArray[np.floating]) -> Floats:
    """Returns what is attributed, from scores with their axis at 1: a linear combination of them.

    It is the label's lead over another label, which is the logarithm of how many times as likely it is; or the number
    that a regression predicts; or for levels where the row stands on the scale that thresholds divide, but for a
    constant.

    Args:
        link: what the scores mean.
        label: (rows,) the labels.
        over: (rows,) the labels to compare with; used for a classification only.
        scores: (rows, S) or (rows, S, more) scores, or derivatives of them.
    """
    if not isinstance(link, Classification):
        return scores[:, 0].astype(np.float64)
    each = np.arange(len(scores))
    return scores[each, label].astype(np.float64) - scores[each, over]


def next_likely(link: Link, label: Indices, scores: Floats) -> Indices:
    """Returns the (rows,) labels that score highest after the rows' own, given (rows, S) scores; -1 without labels."""
    if not isinstance(link, Classification):
        return np.full(len(scores), -1)
    others = scores.copy()
    others[np.arange(len(scores)), label] = -np.inf
    return np.asarray(others.argmax(axis=1))


@lru_cache(maxsize=16)
def _quadrature(nodes: int) -> tuple[Floats, Floats]:
    """Returns the (nodes,) places and weights of Gauss-Legendre quadrature from 0 to 1."""
    place, weight = np.polynomial.legendre.leggauss(nodes)
    found = (place + 1.0) / 2.0, weight / 2.0
    for shared in found:
        shared.flags.writeable = False
    return found
