"""Computes what `stability.normal` does for one row in plain floats; a test checks that the two agree."""

import math
from math import exp
from statistics import NormalDist

from chainzrule.service.stability.normal import DIGITS, POSITIVE, RARE, SHARES, SQUARES, SURE, TINY

Row = list[float]

_SQRT2 = math.sqrt(2.0)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
_NOWHERE = 40.0
_RULE = list(zip(SQUARES.tolist(), SHARES.tolist(), strict=True))
_inverse = NormalDist().inv_cdf


def tail(z: float) -> float:
    """Returns P(N(0, 1) > z)."""
    return 0.5 * math.erfc(z / _SQRT2)


def density(z: float) -> float:
    """Returns the standard normal density."""
    z = min(abs(z), _NOWHERE)
    return _DENSITY * math.exp(-0.5 * z * z)


def both_above(h: float, k: float, correlation: float) -> float:
    """Returns P(X > h and Y > k) for standard normal X, Y with this correlation."""
    h, k = h if abs(h) >= TINY else TINY, k if abs(k) >= TINY else TINY
    across = math.sqrt(max((1.0 - correlation) * (1.0 + correlation), 1e-16))
    both = 0.5 * (tail(h) + tail(k)) - _owen(h, (k - correlation * h) / across)
    both -= _owen(k, (h - correlation * k) / across)
    return max(both - 0.5 if (h < 0) != (k < 0) else both, 0.0)


def any_negative(mean: Row, covariance: list[Row]) -> float:
    """Returns the probability that any of several jointly normal quantities is negative; changes neither argument.

    Args:
        mean: (R,) the means, ordered from the most to the least likely to be negative.
        covariance: (R, R) the covariance.
    """
    R = range(len(mean))
    spread = [math.sqrt(covariance[j][j]) if covariance[j][j] > 0.0 else 0.0 for j in R]
    t = [m / sd if sd > 0.0 else _NOWHERE for m, sd in zip(mean, spread, strict=True)]
    inverse = [1.0 / sd if sd > 0.0 else 1.0 for sd in spread]
    correlation = [[covariance[j][k] * inverse[j] * inverse[k] for k in R] for j in R]
    mean, covariance = t.copy(), [row.copy() for row in correlation]
    log_all_positive = 0.0
    for j in R:
        sd = math.sqrt(max(covariance[j][j], 1e-12))
        log_positive = _log_positive(mean[j] / sd)
        if j > 0:
            alike = correlation[j]
            near = max(range(j), key=lambda i: round(abs(alike[i]), DIGITS) + (POSITIVE if alike[i] > 0.0 else 0.0))
            r = min(max(alike[near], -1.0), 1.0)
            correction = _pair_correction(t[near], t[j], r)
            log_positive = min(log_positive + (correction if j == 1 else r * r * correction), 0.0)
        log_all_positive += log_positive
        if j + 1 == len(mean):
            break
        negative = min(max(-math.expm1(log_positive), RARE), 1.0 - SURE)
        cut = -_inverse(negative)
        hazard = density(cut) / (1.0 - negative)
        shrink = hazard * (hazard + cut)
        slopes = [covariance[j][k] / sd for k in R]
        for k in range(j + 1, len(mean)):
            mean[k] += slopes[k] * hazard
            for m in range(j + 1, len(mean)):
                covariance[k][m] -= shrink * slopes[k] * slopes[m]
    return -math.expm1(log_all_positive)


def _log_positive(t: float) -> float:
    return math.log1p(-min(tail(t), 1.0 - SURE))


def _pair_correction(first: float, second: float, r: float) -> float:
    negative = min(tail(first), 1.0 - SURE)
    overtaken = max(tail(second) - both_above(first, second, r), 0.0) / (1.0 - negative)
    hazard = density(first) / (1.0 - negative)
    left = math.sqrt(max(1.0 - hazard * (hazard + first) * r * r, 1e-12))
    return math.log1p(-min(overtaken, 1.0 - SURE)) - _log_positive((second + r * hazard) / left)


def _owen(h: float, b: float) -> float:
    """Returns Owen's T(h, b / h)."""
    sign = -1.0 if (h < 0) != (b < 0) else 1.0
    h, b = min(abs(h), _NOWHERE), min(abs(b), _NOWHERE)
    long, short = (b, h) if b > h else (h, b)
    slope = short / max(long, RARE)
    square, half = slope * slope, -0.5 * long * long
    area = 0.0
    for point, share in _RULE:
        reach = 1.0 + square * point
        area += share * exp(half * reach) / reach
    area *= slope
    if b > h:
        outer, beside = tail(h), tail(b)
        area = 0.5 * (outer + beside) - outer * beside - area
    return sign * area
