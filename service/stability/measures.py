"""The stability measures of a batch of predictions, from the scores and their covariance under the declared noise.

With s the scores of a row and C = J N^2 J^T their first-order covariance under one noise sigma (N: the card's noise of
every feature), all measures follow without touching the network again. `noise_scale` multiplies the noise, so C by its
square. Where the artifact also says how the noise shifts the scores' mean, to second order, flip probability and
volatility are taken around the shifted mean; the shift grows with the noise's square as well. All arrays are float64
with the rows first.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.card import Task
from chainzrule.service.stability.lone import normal as normal_row
from chainzrule.service.stability.normal import any_negative, tail

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

# Rivals this many sigmas away flip a label with a chance under 1e-15: where even the nearest is, the rest do not count.
OUT_OF_REACH = 8.0

# Rivals whose squared distance exceeds the nearest's by this much are overtaken 1e-5 as often: not in the joint law.
NEGLIGIBLE = 23.0

FEW = 24  # rows times rivals, up to which plain floats are quicker than numpy's calls


class Diagnosis(NamedTuple):
    """What one batch of rows is predicted to be, and how stable that is.

    Attributes:
        label: (rows,) index of the label; 0 for regression.
        value: (rows,) the reported number: the output (regression, in the target's unit), the expected level
            (ordinal), the label's probability (classification).
        volatility: (rows,) standard deviation of `value` under the noise, in its unit.
        flip_distance: (rows,) noise sigmas to the nearest decision boundary, to first order; infinite where no noise
            moves the label.
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
    task: Task,
    scores: NDArray[np.floating],
    covariance: NDArray[np.floating],
    noise_scale: Floats,
    mean_shift: NDArray[np.floating] | None = None,
) -> Diagnosis:
    """Measure a batch.

    Args:
        task: what the scores mean.
        scores: (rows, S). Classification: K logits; ordinal: s_k = f - b_k for the ordered thresholds b_k;
            regression: the output.
        covariance: (rows, S, S) at one noise sigma.
        noise_scale: (rows,) multiples of the card's noise.
        mean_shift: (rows, S) what one noise sigma adds to the scores' mean, to second order; None counts as nothing.
    """
    s = scores.astype(np.float64)
    square = noise_scale * noise_scale
    C = covariance * square[:, None, None]
    trace = covariance.trace(axis1=1, axis2=2, dtype=np.float64)
    gradient_norm = np.sqrt(np.maximum(trace, 0.0))
    if task == "regression":
        return _regression(s, gradient_norm, noise_scale)
    centre = s if mean_shift is None else s + mean_shift * square[:, None]
    if task == "ordinal":
        return _ordinal(s, centre, C, gradient_norm)
    return (_binary if s.shape[1] == 2 else _classification)(s, centre, C, gradient_norm)


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


def _binary(s: Floats, centre: Floats, C: Floats, gradient_norm: Floats) -> Diagnosis:
    """Two labels: everything hangs on the one margin, whose law is exactly normal to first order."""
    difference = s[:, 0] - s[:, 1]
    label = (difference < 0).astype(np.int64)
    margin = np.abs(difference)
    displaced = np.where(label == 0, 1.0, -1.0) * (centre[:, 0] - centre[:, 1])
    scale = C[:, 0, 0] + C[:, 1, 1]
    variance = scale - 2.0 * C[:, 0, 1]
    sd = np.sqrt(np.where(variance > ROUNDING * scale, variance, 0.0))
    # The other label's probability, exact where the label's is all but 1; at the rule's nodes, and as it is.
    points = np.empty((len(s), len(NODES) + 1))
    points[:, :-1] = displaced[:, None] + sd[:, None] * NODES
    points[:, -1] = margin
    odds = np.exp(np.minimum(-points, _EXP_LIMIT))
    other = odds / (1.0 + odds)
    moved, other = other[:, :-1], other[:, -1]
    slope = other * (1.0 - other)
    gradient = np.empty_like(s)
    gradient[:, 0] = np.where(label == 0, slope, -slope)
    gradient[:, 1] = -gradient[:, 0]
    distance, reach = np.full((2, len(s)), np.inf)
    np.divide(margin, sd, out=distance, where=sd > 0)
    np.divide(displaced, sd, out=reach, where=sd > 0)
    return Diagnosis(
        label=label,
        value=1.0 - other,
        volatility=np.sqrt(np.square(moved - (moved @ WEIGHTS)[:, None]) @ WEIGHTS),
        flip_distance=distance,
        flip_probability=tail(reach),
        runner_up=1 - label,
        gradient_norm=gradient_norm,
        gradient=gradient,
    )


def _classification(s: Floats, centre: Floats, C: Floats, gradient_norm: Floats) -> Diagnosis:
    each = np.arange(len(s))
    label = s.argmax(axis=1)  # the lower index where scores tie
    margin = _margins_of(s, label)
    # 1 - p as the sum of the other odds: exact where the softmax is saturated.
    odds = np.exp(-margin)
    others = odds.sum(axis=1)
    value = 1.0 / (1.0 + others)
    gradient = odds * -(value * value)[:, None]
    gradient[each, label] = others * value * value

    diagonal = C.diagonal(axis1=1, axis2=2)
    own = C[each, label]
    scale = diagonal + own[each, label][:, None]
    variance = scale - 2.0 * own
    moves = variance > ROUNDING * scale
    sd = np.sqrt(np.where(moves, variance, 1.0))
    distance = np.where(moves, margin / sd, np.inf)
    runner_up = distance.argmin(axis=1)
    flip_distance = distance[each, runner_up]
    if np.isinf(flip_distance).any():
        # Where no noise moves any margin, the runner-up is the next highest score.
        runner_up = np.where(np.isinf(flip_distance), margin.argmin(axis=1), runner_up)
    if centre is not s:
        margin = _margins_of(centre, label)
        distance = np.where(moves, margin / sd, np.inf)
    return Diagnosis(
        label=label,
        value=value,
        volatility=_probability_spread(margin, C, gradient, label),
        flip_distance=flip_distance,
        flip_probability=_flip_probability(margin, C, label, distance),
        runner_up=runner_up,
        gradient_norm=gradient_norm,
        gradient=gradient,
    )


def _margins_of(s: Floats, label: Indices) -> Floats:
    """(rows, S) how far the label is ahead of each score; infinitely of itself."""
    each = np.arange(len(s))
    margin: Floats = s[each, label][:, None] - s
    margin[each, label] = np.inf
    return margin


def _probability_spread(margin: Floats, C: Floats, gradient: Floats, label: Indices) -> Floats:
    """As `_volatility`, of the label's probability: by the other labels' share, which is exact where it is tiny."""
    delta, u = _direction(C, gradient)
    ahead = u[np.arange(len(u)), label][:, None] - u
    # Scores first: sums over them are then sums of whole arrays.
    moved = margin.T[:, :, None] + ahead.T[:, :, None] * NODES
    others = np.exp(np.minimum(-moved, _EXP_LIMIT)).sum(axis=0)
    return _spread(others / (1.0 + others), delta)


def _flip_probability(margin: Floats, C: Floats, label: Indices, distance: Floats) -> Floats:
    """(rows,) chance that any rival overtakes the label, by the margins' joint normal law."""
    near = np.partition(distance, 1, axis=1)[:, :2]
    chance = tail(near[:, 0])  # the nearest rival alone: exact for two labels, and where the next is out of reach
    limit = np.sqrt(np.square(np.clip(near[:, 0], 0.0, OUT_OF_REACH)) + NEGLIGIBLE)
    several = np.flatnonzero((near[:, 1] < limit) & (near[:, 0] < OUT_OF_REACH))
    if len(several) == 0:
        return chance
    rivals = np.argsort(distance[several], axis=1, kind="stable")
    counts = (distance[several] < limit[several, None]).sum(axis=1)
    mean, joint = _margins(margin[several], C[several], label[several], rivals[:, : counts.max()])
    if len(several) * counts.max() > FEW:
        beyond = np.arange(mean.shape[1]) >= counts[:, None]
        joint[beyond[:, :, None] | beyond[:, None, :]] = 0.0  # which counts as certain
        chance[several] = any_negative(mean, joint)
    else:
        chance[several] = [
            normal_row.any_negative(own[:count], [row[:count] for row in law[:count]])
            for own, law, count in zip(mean.tolist(), joint.tolist(), counts.tolist(), strict=True)
        ]
    return chance


def _margins(margin: Floats, C: Floats, label: Indices, rivals: Indices) -> tuple[Floats, Floats]:
    """Mean (rows, R) and covariance (rows, R, R) of the label's margins over R rivals."""
    row = np.arange(len(rivals))[:, None]
    own = label[:, None]
    c_label = C[row, own, rivals]
    among = C[row[:, :, None], rivals[:, :, None], rivals[:, None, :]]
    joint = C[row, own, own][:, :, None] - c_label[:, :, None] - c_label[:, None, :] + among
    return margin[row, rivals], joint


def _ordinal(s: Floats, centre: Floats, C: Floats, gradient_norm: Floats) -> Diagnosis:
    rows, S = s.shape
    each = np.arange(rows)
    label = (s > 0).sum(axis=1)
    p = _sigmoid(s)
    gradient = p * _sigmoid(-s)
    volatility = _volatility(centre, C, gradient, lambda moved: _sigmoid(moved).sum(axis=-1))
    # The thresholds are fixed: noise moves f, and so all scores, together.
    sd = np.sqrt(np.maximum(C[:, 0, 0], 0.0))

    def margins(s: Floats) -> tuple[Floats, Floats]:
        below = np.where(label > 0, s[each, np.maximum(label - 1, 0)], np.inf)
        return below, np.where(label < S, -s[each, np.minimum(label, S - 1)], np.inf)

    def sigmas(margin: Floats) -> Floats:
        return np.where(sd > 0, margin / np.where(sd > 0, sd, 1.0), np.inf)

    below, above = margins(s)
    moved_below, moved_above = (below, above) if centre is s else margins(centre)
    return Diagnosis(
        label=label,
        value=p.sum(axis=1),
        volatility=volatility,
        flip_distance=np.minimum(sigmas(below), sigmas(above)),
        flip_probability=tail(sigmas(moved_below)) + tail(sigmas(moved_above)),
        runner_up=np.where(below <= above, label - 1, label + 1),
        gradient_norm=gradient_norm,
        gradient=gradient,
    )


def _volatility(centre: Floats, C: Floats, gradient: Floats, output: Output) -> Floats:
    """Standard deviation of `output` around `centre` along the one direction of score space that moves it.

    The output's first-order variation under the noise is g^T C^(1/2) z; the scores' mean displacement given that
    variation is t u with u = C g / sqrt(g^T C g) and t standard normal. Following the output itself along t u, rather
    than its tangent, keeps the measure true when the noise is not small.
    """
    delta, u = _direction(C, gradient)
    return _spread(output(centre[:, None, :] + NODES[None, :, None] * u[:, None, :]), delta)


def _direction(C: Floats, gradient: Floats) -> tuple[Floats, Floats]:
    """(rows,) delta = sqrt(g^T C g), and (rows, S) u."""
    Cg = (C @ gradient[:, :, None])[:, :, 0]
    delta = np.sqrt(np.maximum(np.einsum("ns,ns->n", gradient, Cg), 0.0))
    return delta, Cg / np.where(delta > 0, delta, 1.0)[:, None]


def _spread(moved: Floats, delta: Floats) -> Floats:
    """(rows,) standard deviation of outputs at the rule's nodes, (rows, nodes); 0 where nothing moves them."""
    mean = moved @ WEIGHTS
    return np.asarray(np.where(delta > 0, np.sqrt(np.square(moved - mean[:, None]) @ WEIGHTS), 0.0))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))
