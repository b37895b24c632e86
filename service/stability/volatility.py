"""Computes the standard deviation of the reported output under noise, by Gauss-Hermite quadrature in score space.

The output's first-order variation under the noise is g^T C^(1/2) z; the scores' mean displacement given that variation
is t u with u = C g / sqrt(g^T C g) and t standard normal. Following the output itself along t u, rather than its
tangent, keeps the measure true when the noise is not small.
"""

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.link import Indices, other_share, sigmoid

Floats = NDArray[np.float64]

# The 7-point Gauss-Hermite rule for the mean of a function of a standard normal variable.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def of_two_labels(margin: Floats, sd: Floats) -> Floats:
    """Returns the (rows,) volatility of a label's probability, whose margin over the one other label is normal.

    Args:
        margin: (rows,) the mean of the margin under the noise.
        sd: (rows,) the standard deviation of the margin.
    """
    moved = other_share(margin[:, None] + sd[:, None] * NODES)
    return np.asarray(np.sqrt(np.square(moved - (moved @ WEIGHTS)[:, None]) @ WEIGHTS))


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
    # The scores are the first axis, so that sums over them are sums of whole arrays, which numpy does fastest.
    return _spread(other_share(margin.T[:, :, None] + ahead.T[:, :, None] * NODES, axis=0), delta)


def of_expected_level(centre: Floats, C: Floats, gradient: Floats) -> Floats:
    """Returns the (rows,) volatility of an ordinal model's expected level around the scores `centre`, (rows, S)."""
    delta, u = _direction(C, gradient)
    return _spread(sigmoid(centre[:, None, :] + NODES[None, :, None] * u[:, None, :]).sum(axis=-1), delta)


def _direction(C: Floats, gradient: Floats) -> tuple[Floats, Floats]:
    """Returns the (rows,) first-order standard deviation delta = sqrt(g^T C g) and the (rows, S) direction u."""
    Cg = (C @ gradient[:, :, None])[:, :, 0]
    delta = np.sqrt(np.maximum(np.einsum("ns,ns->n", gradient, Cg), 0.0))
    return delta, Cg / np.where(delta > 0, delta, 1.0)[:, None]


def _spread(moved: Floats, delta: Floats) -> Floats:
    """Returns the (rows,) standard deviation of outputs, given at the nodes, (rows, nodes); 0 where delta is 0."""
    mean = moved @ WEIGHTS
    return np.asarray(np.where(delta > 0, np.sqrt(np.square(moved - mean[:, None]) @ WEIGHTS), 0.0))
