"""Computes the comparison's statistics: paired tests with Holm's correction, and parameter ratios at equal score."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Curve = Sequence[tuple[int, Sequence[float]]]
"""Points of increasing size: parameters, and one score a seed."""

RESAMPLES = 2000


@dataclass(frozen=True)
class Ratio:
    """Says how many times more parameters a rival needs for a score.

    Attributes:
        level: the score.
        value: the rival's parameters over ours.
        low: 2.5% quantile over resampled seeds; None where that often a resampled curve of ours misses the level.
        high: 97.5% quantile; None where that often a resampled curve misses the level.
        bound: `=` where both curves cross the level; `>=` where our smallest network is already better.
    """

    level: float
    value: float
    low: float | None
    high: float | None
    bound: str


def paired_p(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float | None:
    """Returns the two-sided p value of a paired t-test over the seeds that both have.

    It is None for fewer than three seeds, or without spread.
    """
    seeds = sorted(set(ours) & set(theirs))
    differences = np.array([ours[seed] - theirs[seed] for seed in seeds])
    if len(seeds) < 3 or np.ptp(differences) == 0:
        return None
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Returns p values after Holm's step-down correction; None stays None."""
    order = sorted((value, index) for index, value in enumerate(values) if value is not None)
    corrected: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, (value, index) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * value))
        corrected[index] = largest
    return corrected


def iso_ratio(ours: Curve, theirs: Curve, level: float, higher_is_better: bool) -> Ratio | None:
    """Returns the ratio of the parameters at which the two curves reach `level`, with a bootstrap interval over seeds.

    A curve is made monotone first (what a smaller network reaches, a larger one counts as reaching) and read between
    its points linearly in the logarithm of the parameters and, for errors, of the score. None where a curve never gets
    there.
    """
    needed, rivals = (parameters_at(_means(curve), level, higher_is_better) for curve in (ours, theirs))
    if needed is None or rivals is None:
        return None
    random = np.random.default_rng(0)
    lows, highs = [], []
    for _ in range(RESAMPLES):
        mine, other = (parameters_at(_resampled(curve, random), level, higher_is_better) for curve in (ours, theirs))
        # A curve that misses the level needs more than the largest network that was measured.
        lows.append(0.0 if mine is None else (other or max(theirs)[0]) / mine)
        highs.append(math.inf if mine is None or other is None else other / mine)
    low, high = (float(np.quantile(ends, at, method="nearest")) for ends, at in ((lows, 0.025), (highs, 0.975)))
    bound = ">=" if needed == math.exp(math.log(min(ours)[0])) else "="
    return Ratio(level, rivals / needed, low or None, high if math.isfinite(high) else None, bound)


def parameters_at(curve: Sequence[tuple[int, float]], level: float, higher_is_better: bool) -> float | None:
    """Returns the parameters at which a curve of means reaches a score.

    Where the smallest network is already better, they are that network's.
    """
    sign = 1.0 if higher_is_better else -1.0
    scale = (lambda score: score) if higher_is_better else (lambda score: math.log(max(score, 1e-300)))
    best, points = -math.inf, []
    for parameters, score in sorted(curve):
        best = max(best, sign * scale(score))
        points.append((math.log(parameters), best))
    wanted = sign * scale(level)
    if points[0][1] >= wanted:
        return math.exp(points[0][0])
    for (size, below), (larger, above) in itertools.pairwise(points):
        if above >= wanted:
            return math.exp(size + (larger - size) * (wanted - below) / (above - below))
    return None


def _means(curve: Curve) -> list[tuple[int, float]]:
    return [(parameters, float(np.mean(scores))) for parameters, scores in curve]


def _resampled(curve: Curve, random: np.random.Generator) -> list[tuple[int, float]]:
    return [(parameters, float(np.mean(_drawn(scores, random)))) for parameters, scores in curve]


def _drawn(scores: Sequence[float], random: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(scores)[random.integers(len(scores), size=len(scores))]


def geometric_mean(values: Sequence[float]) -> float:
    """Returns the geometric mean of positive numbers."""
    return float(np.exp(np.mean(np.log(values))))
