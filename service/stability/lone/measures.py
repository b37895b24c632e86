"""Measures one row in plain floats: for a lone row, a numpy call costs more than all of its arithmetic.

The definitions are those of `stability.measures`, term by term; a test checks that the two agree.
"""

import math
from collections.abc import Callable
from functools import cache
from operator import mul
from typing import NamedTuple

from chainzrule.service.stability.flips import NEGLIGIBLE, OUT_OF_REACH, ROUNDING
from chainzrule.service.stability.link import Binary, Link, Ordinal, Regression
from chainzrule.service.stability.lone.link import (
    Row,
    expected_level,
    other_share,
    read_levels,
    read_many_labels,
    read_two_labels,
    sigmoid,
)
from chainzrule.service.stability.lone.normal import any_negative, tail
from chainzrule.service.stability.volatility import USUAL, WIDE, fine_rule, halvings_of

MAX_SCORES = 16  # above this, S x S products in Python cost more than numpy's calls

_Rule = tuple[Row, Row]  # nodes and weights
_USUAL: _Rule = (USUAL.nodes.tolist(), USUAL.weights.tolist())


class LoneDiagnosis(NamedTuple):
    """Holds one row of a `measures.Diagnosis`, field by field."""

    label: int
    value: float
    volatility: float
    flip_distance: float
    flip_probability: float
    runner_up: int
    gradient_norm: float
    gradient: Row
    curvature: float = 0.0


def diagnose_row(link: Link, s: Row, C: list[Row], noise_scale: float, mean_shift: Row | None = None) -> LoneDiagnosis:
    """Returns the measures of one row: `s` and `mean_shift` have S entries, C is S x S at one noise sigma."""
    gradient_norm = math.sqrt(max(sum(row[i] for i, row in enumerate(C)), 0.0))
    kind = type(link)  # asking `isinstance` of abstract classes takes as long as all the rest of this function
    if kind is Regression:
        return LoneDiagnosis(0, s[0], gradient_norm * noise_scale, math.inf, math.nan, -1, gradient_norm, [1.0])
    square = noise_scale * noise_scale
    centre = s if mean_shift is None else [score + square * move for score, move in zip(s, mean_shift, strict=True)]
    if kind is Binary:
        return _two_labels(s, centre, C, square, gradient_norm)
    if kind is Ordinal:
        return _levels(s, centre, C, square, gradient_norm)
    return _many_labels(s, centre, C, square, gradient_norm)


def _two_labels(s: Row, centre: Row, C: list[Row], square: float, gradient_norm: float) -> LoneDiagnosis:
    label, value, gradient = read_two_labels(s)
    margin, displaced = s[label] - s[1 - label], centre[label] - centre[1 - label]
    scale = C[0][0] + C[1][1]
    variance = scale - 2.0 * C[0][1]
    sd = math.sqrt(square * variance) if variance > ROUNDING * scale else 0.0
    return LoneDiagnosis(
        label,
        value,
        _spread(lambda node: sigmoid(-displaced - node * sd), sd) if sd > 0 else 0.0,
        margin / sd if sd > 0 else math.inf,
        tail(displaced / sd) if sd > 0 else 0.0,
        1 - label,
        gradient_norm,
        gradient,
        abs(displaced - margin) / sd if sd > 0 else 0.0,
    )


def _many_labels(s: Row, centre: Row, C: list[Row], square: float, gradient_norm: float) -> LoneDiagnosis:
    label, value, gradient = read_many_labels(s)
    own, top, middle = C[label], s[label], centre[label]
    best, runner_up, curvature = math.inf, -1, 0.0
    rivals: list[tuple[float, int]] = []
    for rival, score in enumerate(s):
        if rival == label:
            continue
        scale = own[label] + C[rival][rival]
        variance = scale - 2.0 * own[rival]
        if variance > ROUNDING * scale and square * variance > 0.0:
            sd = math.sqrt(square * variance)
            distance = (top - score) / sd
            displaced = (middle - centre[rival]) / sd
            if distance < best:
                best, runner_up, curvature = distance, rival, abs(displaced - distance)
            rivals.append((displaced, rival))
    if runner_up < 0:  # where no noise moves any margin, it is the next highest score
        runner_up = max((rival for rival in range(len(s)) if rival != label), key=s.__getitem__)
    return LoneDiagnosis(
        label,
        value,
        _volatility(centre, C, square, gradient, lambda moved: other_share(moved, label), label),
        best,
        _flip_probability(centre, C, square, label, sorted(rivals)),
        runner_up,
        gradient_norm,
        gradient,
        curvature,
    )


def _levels(s: Row, centre: Row, C: list[Row], square: float, gradient_norm: float) -> LoneDiagnosis:
    label, value, gradient = read_levels(s)
    sd = math.sqrt(max(square * C[0][0], 0.0))
    below, above = _edges(s, label)
    distance, chance = math.inf, 0.0
    if sd > 0:
        distance = min(below, above) / sd
        chance = sum(tail(margin / sd) for margin in _edges(centre, label))
    return LoneDiagnosis(
        label,
        value,
        _volatility(centre, C, square, gradient, expected_level),
        distance,
        chance,
        label - 1 if below <= above else label + 1,
        gradient_norm,
        gradient,
        abs(centre[0] - s[0]) / sd if sd > 0 else 0.0,
    )


def _flip_probability(centre: Row, C: list[Row], square: float, label: int, rivals: list[tuple[float, int]]) -> float:
    """Returns the probability that any rival within reach overtakes the label; `rivals` are sorted, nearest first."""
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


def _volatility(
    centre: Row, C: list[Row], square: float, gradient: Row, output: Callable[[Row], float], label: int | None = None
) -> float:
    """Returns the standard deviation of `output` along the one direction of score space that moves it.

    It depends on the leads of a label over the other scores; without a label on each score by itself.
    """
    Cg = [square * sum(map(mul, row, gradient)) for row in C]
    variance = sum(map(mul, gradient, Cg))
    if not variance > 0.0:
        return 0.0
    delta = math.sqrt(variance)
    u = [change / delta for change in Cg]
    own = 0.0 if label is None else u[label]
    return _spread(
        lambda node: output([score + node * change for score, change in zip(centre, u, strict=True)]),
        max([abs(own - change) for change in u]),
    )


def _spread(output: Callable[[float], float], width: float) -> float:
    """Returns the standard deviation of an output, by the rule for leads of that standard deviation."""
    nodes, weights = _USUAL if width <= WIDE else _fine(halvings_of(width))
    moved = [output(node) for node in nodes]
    mean = sum(map(mul, weights, moved))
    return math.sqrt(sum([weight * (value - mean) ** 2 for weight, value in zip(weights, moved, strict=True)]))


@cache
def _fine(halvings: int) -> _Rule:
    rule = fine_rule(halvings)
    return rule.nodes.tolist(), rule.weights.tolist()


def _edges(s: Row, label: int) -> tuple[float, float]:
    """Returns how far f lies above the level's lower threshold, and how far under its upper one."""
    return s[label - 1] if label > 0 else math.inf, -s[label] if label < len(s) else math.inf
