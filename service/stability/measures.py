"""The stability measures of a batch of predictions, from the scores and their covariance under the declared noise.

With s the scores of a row and C = J N^2 J^T their first-order covariance under one noise sigma (N: the card's noise of
every feature), all measures follow without touching the network again. `noise_scale` multiplies the noise, so C by its
square. All arrays are float64 with the rows first.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.artifact.card import Task
from service.stability.normal import any_negative, tail

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Output = Callable[[Floats], Floats]

# Gauss-Hermite rule for the mean of a function of a standard normal variable.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
WEIGHTS = WEIGHTS / WEIGHTS.sum()

_NODES_AND_ZERO = np.append(NODES, 0.0)
_EXP_LIMIT = 700.0  # just under where exp overflows

# A margin's variance is a difference of float32 covariances: below this share of them it is rounding, not noise.
ROUNDING = 5e-7

# Rivals this many sigmas away flip a label with a chance under 1e-15: they are left out of the joint law.
OUT_OF_REACH = 8.0


class Diagnosis(NamedTuple):
    """What one batch of rows is predicted to be, and how stable that is.

    Attributes:
        label: (rows,) index of the label; 0 for regression.
        value: (rows,) the reported number: the output (regression, in the target's unit), the expected level
            (ordinal), the label's probability (classification).
        volatility: (rows,) standard deviation of `value` under the noise, in its unit.
        flip_distance: (rows,) noise sigmas to the nearest decision boundary; infinite where no noise moves the label.
        flip_probability: (rows,) chance that the noise changes the label; NaN for regression.
        runner_up: (rows,) index of the label that the noise makes most likely instead; -1 for regression.
        gradient_norm: (rows,) root of the trace of C: sensitivity of the scores per noise sigma, whatever noise_scale.
        gradient: (rows, S) derivative of `value` with respect to the scores.
    """

    label: Indices
    value: Floats
    volatility: Floats
    flip_distance: Floats
    flip_probability: Floats
    runner_up: Indices
    gradient_norm: Floats
    gradient: Floats


def diagnose(
    task: Task, scores: NDArray[np.floating], covariance: NDArray[np.floating], noise_scale: Floats
) -> Diagnosis:
    """Measure a batch.

    Args:
        task: what the scores mean.
        scores: (rows, S). Classification: K logits; ordinal: s_k = f - b_k for the ordered thresholds b_k;
            regression: the output.
        covariance: (rows, S, S) at one noise sigma.
        noise_scale: (rows,) multiples of the card's noise.
    """
    s = scores.astype(np.float64)
    C = covariance.astype(np.float64)
    gradient_norm = np.sqrt(np.maximum(np.einsum("nss->n", C), 0.0))
    C = C * (noise_scale * noise_scale)[:, None, None]
    if task == "classification":
        return (_binary if s.shape[1] == 2 else _classification)(s, C, gradient_norm)
    if task == "ordinal":
        return _ordinal(s, C, gradient_norm)
    return _regression(s, gradient_norm, noise_scale)


def _regression(s: Floats, gradient_norm: Floats, noise_scale: Floats) -> Diagnosis:
    rows = len(s)
    return Diagnosis(
        label=np.zeros(rows, np.int64),
        value=s[:, 0],
        volatility=gradient_norm * noise_scale,
        flip_distance=np.full(rows, np.inf),
        flip_probability=np.full(rows, np.nan),
        runner_up=np.full(rows, -1),
        gradient_norm=gradient_norm,
        gradient=np.ones_like(s),
    )


def _binary(s: Floats, C: Floats, gradient_norm: Floats) -> Diagnosis:
    """Two labels: everything hangs on the one margin, whose law is exactly normal to first order."""
    difference = s[:, 0] - s[:, 1]
    label = (difference < 0).astype(np.int64)
    margin = np.abs(difference)
    scale = C[:, 0, 0] + C[:, 1, 1]
    variance = scale - 2.0 * C[:, 0, 1]
    sd = np.sqrt(np.where(variance > ROUNDING * scale, variance, 0.0))
    # The other label's probability, exact where the label's is all but 1; as it is, and at the rule's nodes.
    odds = np.exp(np.minimum(-(margin[:, None] + sd[:, None] * _NODES_AND_ZERO), _EXP_LIMIT))
    other = odds / (1.0 + odds)
    moved, other = other[:, :-1], other[:, -1]
    slope = other * (1.0 - other)
    gradient = np.empty_like(s)
    gradient[:, 0] = np.where(label == 0, slope, -slope)
    gradient[:, 1] = -gradient[:, 0]
    distance = np.full(len(s), np.inf)
    np.divide(margin, sd, out=distance, where=sd > 0)
    return Diagnosis(
        label=label,
        value=1.0 - other,
        volatility=np.sqrt(np.square(moved - (moved @ WEIGHTS)[:, None]) @ WEIGHTS),
        flip_distance=distance,
        flip_probability=tail(distance),
        runner_up=1 - label,
        gradient_norm=gradient_norm,
        gradient=gradient,
    )


def _classification(s: Floats, C: Floats, gradient_norm: Floats) -> Diagnosis:
    each = np.arange(len(s))
    label = s.argmax(axis=1)  # the lower index where scores tie
    # 1 - p as the sum of the other odds: exact where the softmax is saturated.
    odds = np.exp(s - s[each, label][:, None])
    odds[each, label] = 0.0
    others = odds.sum(axis=1)
    value = 1.0 / (1.0 + others)
    gradient = odds * -(value * value)[:, None]
    gradient[each, label] = others * value * value
    volatility = _volatility(s, C, gradient, lambda moved: _others(moved, label))

    margin = s[each, label][:, None] - s
    diagonal = np.einsum("nss->ns", C)
    own = C[each, label]
    variance = diagonal[each, label][:, None] + diagonal - 2.0 * own
    moves = variance > ROUNDING * (diagonal[each, label][:, None] + diagonal)
    sd = np.sqrt(np.where(moves, variance, 1.0))
    distance = np.where(moves, margin / sd, np.inf)
    distance[each, label] = np.inf
    flip_distance = distance.min(axis=1)
    # Where no noise moves any margin, the runner-up is the next highest score.
    still = np.where(np.isinf(flip_distance)[:, None], margin, distance)
    still[each, label] = np.inf
    runner_up = still.argmin(axis=1)
    return Diagnosis(
        label=label,
        value=value,
        volatility=volatility,
        flip_distance=flip_distance,
        flip_probability=_flip_probability(margin, C, label, distance),
        runner_up=runner_up,
        gradient_norm=gradient_norm,
        gradient=gradient,
    )


def _flip_probability(margin: Floats, C: Floats, label: Indices, distance: Floats) -> Floats:
    """(rows,) chance that any rival overtakes the label, by the margins' joint normal law."""
    near = np.sort(distance, axis=1)[:, :2]
    chance = tail(near[:, 0])  # the nearest rival alone: exact for two labels, and where the next is out of reach
    several = np.flatnonzero(near[:, 1] < OUT_OF_REACH)
    if len(several) == 0:
        return chance
    distance = distance[several]
    reach = int((distance < OUT_OF_REACH).sum(axis=1).max())
    rivals = np.argsort(distance, axis=1, kind="stable")[:, :reach]
    row = np.arange(len(several))[:, None]
    own = label[several][:, None]
    C = C[several]
    means = np.where(np.isinf(distance[row, rivals]), 1.0, margin[several][row, rivals])
    c_label = C[row, own, rivals]
    joint = (
        C[row, own, own][:, :, None]
        - c_label[:, :, None]
        - c_label[:, None, :]
        + C[row[:, :, None], rivals[:, :, None], rivals[:, None, :]]
    )
    chance[several] = any_negative(means, joint)
    return chance


def _ordinal(s: Floats, C: Floats, gradient_norm: Floats) -> Diagnosis:
    rows, S = s.shape
    each = np.arange(rows)
    label = (s > 0).sum(axis=1)
    p = _sigmoid(s)
    gradient = p * _sigmoid(-s)
    volatility = _volatility(s, C, gradient, lambda moved: _sigmoid(moved).sum(axis=-1))
    # The thresholds are fixed: noise moves f, and so all scores, together.
    sd = np.sqrt(np.maximum(C[:, 0, 0], 0.0))
    below = np.where(label > 0, s[each, np.maximum(label - 1, 0)], np.inf)
    above = np.where(label < S, -s[each, np.minimum(label, S - 1)], np.inf)
    moves = sd > 0
    scale = np.where(moves, sd, 1.0)
    down = np.where(moves, below / scale, np.inf)
    up = np.where(moves, above / scale, np.inf)
    return Diagnosis(
        label=label,
        value=p.sum(axis=1),
        volatility=volatility,
        flip_distance=np.minimum(down, up),
        flip_probability=tail(down) + tail(up),
        runner_up=np.where(below <= above, label - 1, label + 1),
        gradient_norm=gradient_norm,
        gradient=gradient,
    )


def _volatility(s: Floats, C: Floats, gradient: Floats, output: Output) -> Floats:
    """Standard deviation of `output` along the one direction of score space that moves it, by quadrature.

    The output's first-order variation under the noise is g^T C^(1/2) z; the scores' mean displacement given that
    variation is t u with u = C g / sqrt(g^T C g) and t standard normal. Following the output itself along t u, rather
    than its tangent, keeps the measure true when the noise is not small.
    """
    Cg = np.einsum("nst,nt->ns", C, gradient)
    variance = np.maximum(np.einsum("ns,ns->n", gradient, Cg), 0.0)
    delta = np.sqrt(variance)
    u: Floats = Cg / np.where(delta > 0, delta, 1.0)[:, None]
    moved = output(s[:, None, :] + NODES[None, :, None] * u[:, None, :])
    mean = moved @ WEIGHTS
    return np.asarray(np.where(delta > 0, np.sqrt(np.square(moved - mean[:, None]) @ WEIGHTS), 0.0))


def _others(s: Floats, label: Indices) -> Floats:
    """(rows, nodes) probability of all labels but `label`, without cancellation when that is tiny."""
    each = np.arange(len(s))[:, None]
    node = np.arange(s.shape[1])[None, :]
    odds = np.exp(s - s.max(axis=2, keepdims=True))
    total = odds.sum(axis=2)
    odds[each, node, label[:, None]] = 0.0
    others: Floats = odds.sum(axis=2) / total
    return others


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))
