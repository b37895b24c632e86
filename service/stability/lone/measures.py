"""The measures of one row, in plain floats: for a lone row a numpy call costs more than all of its arithmetic.

The definitions are those of `measures`, term by term; a test holds the two to each other.
"""

import math
from operator import mul
from typing import NamedTuple

from chainzrule.service.artifact.card import Task
from chainzrule.service.stability.lone.normal import any_negative, tail
from chainzrule.service.stability.measures import NEGLIGIBLE, NODES, OUT_OF_REACH, ROUNDING, WEIGHTS

MAX_SCORES = 16  # beyond, S x S Python products cost more than numpy's calls

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


def diagnose_row(task: Task, s: Row, C: list[Row], noise_scale: float, mean_shift: Row | None = None) -> RowDiagnosis:
    """Measure one row: s and mean_shift (S,), C (S, S) at one noise sigma."""
    gradient_norm = math.sqrt(max(sum(row[i] for i, row in enumerate(C)), 0.0))
    if task == "regression":
        return RowDiagnosis(0, s[0], gradient_norm * noise_scale, math.inf, math.nan, -1, gradient_norm, [1.0])
    square = noise_scale * noise_scale
    centre = s if mean_shift is None else [score + square * move for score, move in zip(s, mean_shift, strict=True)]
    if task == "ordinal":
        return _ordinal(s, centre, C, square, gradient_norm)
    return (_binary if len(s) == 2 else _classification)(s, centre, C, square, gradient_norm)


def _binary(s: Row, centre: Row, C: list[Row], square: float, gradient_norm: float) -> RowDiagnosis:
    label = 0 if s[0] >= s[1] else 1
    margin, displaced = s[label] - s[1 - label], centre[label] - centre[1 - label]
    scale = C[0][0] + C[1][1]
    variance = scale - 2.0 * C[0][1]
    sd = math.sqrt(square * variance) if variance > ROUNDING * scale else 0.0
    other = _sigmoid(-margin)
    slope = other * (1.0 - other)
    return RowDiagnosis(
        label,
        1.0 - other,
        _spread([_sigmoid(-displaced - node * sd) for node in _NODES]) if sd > 0 else 0.0,
        margin / sd if sd > 0 else math.inf,
        tail(displaced / sd) if sd > 0 else 0.0,
        1 - label,
        gradient_norm,
        [-slope, slope] if label else [slope, -slope],
    )


def _classification(s: Row, centre: Row, C: list[Row], square: float, gradient_norm: float) -> RowDiagnosis:
    top = max(s)
    label = s.index(top)
    odds = [math.exp(score - top) for score in s]
    odds[label] = 0.0
    others = sum(odds)
    value = 1.0 / (1.0 + others)
    gradient = [odd * -value * value for odd in odds]
    gradient[label] = others * value * value

    own, middle = C[label], centre[label]
    best, runner_up = math.inf, -1
    rivals: list[tuple[float, int]] = []
    for rival, score in enumerate(s):
        if rival == label:
            continue
        scale = own[label] + C[rival][rival]
        variance = scale - 2.0 * own[rival]
        if variance > ROUNDING * scale and square * variance > 0.0:
            sd = math.sqrt(square * variance)
            distance = (top - score) / sd
            if distance < best:
                best, runner_up = distance, rival
            rivals.append(((middle - centre[rival]) / sd, rival))
    if runner_up < 0:  # no noise moves any margin: the next highest score
        runner_up = max((rival for rival in range(len(s)) if rival != label), key=s.__getitem__)
    return RowDiagnosis(
        label,
        value,
        _volatility(centre, C, square, gradient, label),
        best,
        _flip_probability(centre, C, square, label, sorted(rivals)),
        runner_up,
        gradient_norm,
        gradient,
    )


def _flip_probability(centre: Row, C: list[Row], square: float, label: int, rivals: list[tuple[float, int]]) -> float:
    """As `measures`: the margins' joint law over the rivals within reach, which come nearest first."""
    if not rivals:
        return 0.0
    nearest = rivals[0][0]
    limit = math.sqrt(min(max(nearest, 0.0), OUT_OF_REACH) ** 2 + NEGLIGIBLE)
    order = [rival for distance, rival in rivals if distance < limit]
    if len(order) < 2 or nearest >= OUT_OF_REACH:
        return tail(nearest)
    own = C[label]
    means = [centre[label] - centre[rival] for rival in order]
    return any_negative(means, [[square * (own[label] - own[a] - own[b] + C[a][b]) for b in order] for a in order])


def _volatility(centre: Row, C: list[Row], square: float, gradient: Row, label: int | None) -> float:
    """As `measures`: the spread along u of all labels but `label`, or for None of the expected level."""
    Cg = [square * sum(map(mul, row, gradient)) for row in C]
    variance = sum(map(mul, gradient, Cg))
    if not variance > 0.0:
        return 0.0
    delta = math.sqrt(variance)
    u = [change / delta for change in Cg]
    moved = []
    for node in _NODES:
        shifted = [score + node * change for score, change in zip(centre, u, strict=True)]
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


def _ordinal(s: Row, centre: Row, C: list[Row], square: float, gradient_norm: float) -> RowDiagnosis:
    label = sum(score > 0 for score in s)
    levels = [_sigmoid(score) for score in s]
    gradient = [level * _sigmoid(-score) for level, score in zip(levels, s, strict=True)]
    sd = math.sqrt(max(square * C[0][0], 0.0))
    below, above = _edges(s, label)
    distance, chance = math.inf, 0.0
    if sd > 0:
        distance = min(below, above) / sd
        chance = sum(tail(margin / sd) for margin in _edges(centre, label))
    return RowDiagnosis(
        label,
        sum(levels),
        _volatility(centre, C, square, gradient, None),
        distance,
        chance,
        label - 1 if below <= above else label + 1,
        gradient_norm,
        gradient,
    )


def _edges(s: Row, label: int) -> tuple[float, float]:
    """How far f lies above the level's lower edge, and under its upper."""
    return s[label - 1] if label > 0 else math.inf, -s[label] if label < len(s) else math.inf


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
