"""The measures of one row, in plain floats: for a lone row a numpy call costs more than all of its arithmetic.

The definitions are those of `measures`, term by term; a test holds the two to each other.
"""

import math
from operator import mul
from typing import NamedTuple

from service.artifact.card import Task
from service.stability.measures import NODES, OUT_OF_REACH, ROUNDING, WEIGHTS

MAX_SCORES = 16  # beyond, S x S Python products cost more than numpy's calls

_SQRT2 = math.sqrt(2.0)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
_NODES, _WEIGHTS = NODES.tolist(), WEIGHTS.tolist()

Row = list[float]


class RowDiagnosis(NamedTuple):
    """One row of a `measures.Diagnosis`, field by field."""

    label: int
    value: float
    volatility: float
    flip_distance: float
    flip_probability: float
    runner_up: int
    gradient_norm: float
    gradient: Row


def diagnose_row(task: Task, s: Row, C: list[Row], noise_scale: float) -> RowDiagnosis:
    """Measure one row: s (S,) its scores, C (S, S) their covariance at one noise sigma."""
    gradient_norm = math.sqrt(max(sum(row[i] for i, row in enumerate(C)), 0.0))
    square = noise_scale * noise_scale
    if task == "classification":
        return (_binary if len(s) == 2 else _classification)(s, C, square, gradient_norm)
    if task == "ordinal":
        return _ordinal(s, C, square, gradient_norm)
    return RowDiagnosis(0, s[0], gradient_norm * noise_scale, math.inf, math.nan, -1, gradient_norm, [1.0])


def _binary(s: Row, C: list[Row], square: float, gradient_norm: float) -> RowDiagnosis:
    label = 0 if s[0] >= s[1] else 1
    margin = abs(s[0] - s[1])
    scale = C[0][0] + C[1][1]
    variance = scale - 2.0 * C[0][1]
    sd = math.sqrt(square * variance) if variance > ROUNDING * scale else 0.0
    other = _sigmoid(-margin)
    slope = other * (1.0 - other)
    distance = margin / sd if sd > 0 else math.inf
    return RowDiagnosis(
        label,
        1.0 - other,
        _spread([_sigmoid(-margin - node * sd) for node in _NODES]) if sd > 0 else 0.0,
        distance,
        tail(distance),
        1 - label,
        gradient_norm,
        [-slope, slope] if label else [slope, -slope],
    )


def _classification(s: Row, C: list[Row], square: float, gradient_norm: float) -> RowDiagnosis:
    top = max(s)
    label = s.index(top)
    odds = [math.exp(score - top) for score in s]
    odds[label] = 0.0
    others = sum(odds)
    value = 1.0 / (1.0 + others)
    gradient = [odd * -value * value for odd in odds]
    gradient[label] = others * value * value

    own = C[label]
    best, runner_up = math.inf, -1
    rivals: list[tuple[float, int]] = []
    for rival, score in enumerate(s):
        if rival == label:
            continue
        scale = own[label] + C[rival][rival]
        variance = scale - 2.0 * own[rival]
        if variance > ROUNDING * scale and square * variance > 0.0:
            distance = (top - score) / math.sqrt(square * variance)
            if distance < best:
                best, runner_up = distance, rival
            if distance < OUT_OF_REACH:
                rivals.append((distance, rival))
    if runner_up < 0:  # no noise moves any margin: the next highest score
        runner_up = max((rival for rival in range(len(s)) if rival != label), key=s.__getitem__)
    return RowDiagnosis(
        label,
        value,
        _volatility(s, C, square, gradient, label),
        best,
        _flip_probability(s, C, square, label, rivals) if len(rivals) > 1 else tail(best),
        runner_up,
        gradient_norm,
        gradient,
    )


def _volatility(s: Row, C: list[Row], square: float, gradient: Row, label: int | None) -> float:
    """As `measures`: the spread along u of all labels but `label`, or for None of the expected level."""
    Cg = [square * sum(map(mul, row, gradient)) for row in C]
    variance = sum(map(mul, gradient, Cg))
    if not variance > 0.0:
        return 0.0
    delta = math.sqrt(variance)
    u = [change / delta for change in Cg]
    moved = []
    for node in _NODES:
        shifted = [score + node * change for score, change in zip(s, u, strict=True)]
        if label is None:
            moved.append(sum(map(_sigmoid, shifted)))
        else:
            top = max(shifted)
            odds = [math.exp(score - top) for score in shifted]
            own, odds[label] = odds[label], 0.0
            others = sum(odds)
            moved.append(others / (others + own))
    return _spread(moved)


def _spread(moved: Row) -> float:
    """Standard deviation of an output by its values at the nodes."""
    mean = sum(map(mul, _WEIGHTS, moved))
    return math.sqrt(sum([weight * (output - mean) ** 2 for weight, output in zip(_WEIGHTS, moved, strict=True)]))


def _flip_probability(s: Row, C: list[Row], square: float, label: int, rivals: list[tuple[float, int]]) -> float:
    """As `normal.any_negative`: nearest rival first, each conditioned on not having overtaken the label."""
    order = [rival for _, rival in sorted(rivals)]
    own = C[label]
    means = [s[label] - s[rival] for rival in order]
    joint = [[square * (own[label] - own[a] - own[b] + C[a][b]) for b in order] for a in order]
    floors = [1e-12 * joint[a][a] for a in range(len(order))]
    log_all_positive = 0.0
    for j, floor in enumerate(floors):
        variance = joint[j][j]
        if not variance > floor:
            continue
        sd = math.sqrt(variance)
        t = means[j] / sd
        negative = tail(t)
        log_all_positive += math.log1p(-min(negative, 1.0 - 1e-16))
        hazard = _DENSITY * math.exp(-0.5 * min(abs(t), 40.0) ** 2) / max(1.0 - negative, 1e-300)
        shrink = hazard * (hazard + t)
        slopes = [joint[j][k] / sd for k in range(len(order))]
        for k in range(j + 1, len(order)):
            means[k] += slopes[k] * hazard
            for m in range(j + 1, len(order)):
                joint[k][m] -= shrink * slopes[k] * slopes[m]
    return -math.expm1(log_all_positive)


def _ordinal(s: Row, C: list[Row], square: float, gradient_norm: float) -> RowDiagnosis:
    label = sum(score > 0 for score in s)
    levels = [_sigmoid(score) for score in s]
    gradient = [level * _sigmoid(-score) for level, score in zip(levels, s, strict=True)]
    sd = math.sqrt(max(square * C[0][0], 0.0))
    below = s[label - 1] if label > 0 else math.inf
    above = -s[label] if label < len(s) else math.inf
    down, up = (below / sd, above / sd) if sd > 0 else (math.inf, math.inf)
    return RowDiagnosis(
        label,
        sum(levels),
        _volatility(s, C, square, gradient, None),
        min(down, up),
        tail(down) + tail(up),
        label - 1 if below <= above else label + 1,
        gradient_norm,
        gradient,
    )


def tail(z: float) -> float:
    """P(N(0, 1) > z)."""
    return 0.5 * math.erfc(z / _SQRT2)


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
