"""Computes the normal law's tail, and the probability that any of several correlated normals is negative.

`lone.normal` does the same for one row, in plain floats.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The Gauss-Legendre rule on [0, 1] for Owen's T: its error is under 3e-12, and under 3e-6 of the tail up to 6 sigmas.
_POINTS, _SHARES = np.polynomial.legendre.leggauss(8)
SQUARES = 0.25 * (1.0 + _POINTS) ** 2
SHARES = _SHARES / (4.0 * math.pi)

SURE = 1e-15  # probabilities are kept at least this far below 1, so that logs and hazards stay finite
RARE = 1e-300
TINY = 1e-100
DIGITS = 6
POSITIVE = 0.02  # the bonus of a positive correlation, which predicts better than a negative one of the same size

_SQRT2 = math.sqrt(2.0)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
_NOWHERE = 40.0  # sigmas at which the density is 0 in float64; squares of much larger values would overflow
_erfc = np.frompyfunc(math.erfc, 1, 1)
_inverse = np.frompyfunc(NormalDist().inv_cdf, 1, 1)


def tail(z: Floats) -> Floats:
    """Returns P(N(0, 1) > z), elementwise, with full relative precision for large z too."""
    return 0.5 * np.asarray(_erfc(z / _SQRT2), dtype=np.float64)


def density(z: Floats) -> Floats:
    """Returns the standard normal density, elementwise."""
    z = np.minimum(np.abs(z), _NOWHERE)
    return _DENSITY * np.exp(-0.5 * z * z)


def both_above(h: Floats, k: Floats, correlation: Floats) -> Floats:
    """Returns P(X > h and Y > k) for standard normal X, Y with this correlation, elementwise.

    The method is Owen's T function (Ann. Math. Stat. 27, 1956, 1075-1090).
    """
    across = np.sqrt(np.maximum((1.0 - correlation) * (1.0 + correlation), 1e-16))
    along = np.array([h, k])
    along = np.where(np.abs(along) < TINY, TINY, along)  # at 0 the angle is undefined, so its limit is taken
    aside = (along[::-1] - correlation * along) / across
    own, beside = tail(np.array([along, np.minimum(np.abs(aside), _NOWHERE)]))
    # `area` is T(h, aside / h); where |aside| > |h|, it is computed from what remains of the quadrant.
    below, above = along < 0, aside < 0
    size, far = np.minimum(np.abs(along), _NOWHERE), np.minimum(np.abs(aside), _NOWHERE)
    long, short = np.maximum(size, far), np.minimum(size, far)
    slope = short / np.maximum(long, RARE)
    reach = 1.0 + (slope * slope)[..., None] * SQUARES
    area = slope * ((np.exp((-0.5 * long * long)[..., None] * reach) / reach) @ SHARES)
    outer = np.where(below, 1.0 - own, own)
    area = np.where(far > size, 0.5 * (outer + beside) - outer * beside - area, area)
    area = np.where(below != above, -area, area).sum(axis=0)
    both = 0.5 * own.sum(axis=0) - area - np.where(below[0] != below[1], 0.5, 0.0)
    return np.asarray(np.maximum(both, 0.0))


def any_negative(mean: Floats, covariance: Floats) -> Floats:
    """Returns the probability that at least one of several jointly normal quantities is negative.

    The orthant probability is computed one quantity after the other: each is conditioned on being positive, and the
    remaining ones get the mean and covariance of that truncated law (Mendell and Elston, Biometrics 30, 1974, 41-57).
    The method treats a truncated law as normal, which is inaccurate where quantities are almost perfectly correlated.
    So each step is corrected by the error that the method makes for a pair: the quantity, and the earlier one with
    which it is most correlated, whose joint probability is known exactly. Later steps use the corrected truncation.
    The result is exact for two quantities.

    Args:
        mean: (rows, R) the means, in the order of conditioning, from the most to the least likely to be negative.
        covariance: (rows, R, R) the covariance, symmetric and positive semi-definite, possibly rank-deficient. A
            quantity without variance counts as certain to be positive.

    Returns:
        (rows,) probabilities in [0, 1], precise for tiny values.
    """
    rows, R = mean.shape
    each = np.arange(rows)
    variance = np.einsum("nrr->nr", covariance)
    moves = variance > 0.0
    spread = np.sqrt(np.where(moves, variance, 1.0))
    # Each mean is in units of its standard deviation; a quantity without variance is put far away from 0.
    t = np.where(moves, mean / spread, _NOWHERE)
    correlation = covariance / (spread[:, :, None] * spread[:, None, :])
    mean, covariance = t.copy(), correlation.copy()
    log_all_positive = np.zeros(rows)
    for j in range(R):
        sd = np.sqrt(np.maximum(covariance[:, j, j], 1e-12))
        log_positive = _log_positive(mean[:, j] / sd)
        if j > 0:
            alike = correlation[:, :j, j]
            # Correlations are rounded, so that the first of equally correlated quantities is taken.
            near = (np.round(np.abs(alike), DIGITS) + POSITIVE * (alike > 0.0)).argmax(axis=1)
            r = np.clip(alike[each, near], -1.0, 1.0)
            correction = _pair_correction(t[each, near], t[:, j], r)
            log_positive = np.minimum(log_positive + (correction if j == 1 else r * r * correction), 0.0)
        log_all_positive += log_positive
        if j + 1 == R:
            break
        negative = np.clip(-np.expm1(log_positive), RARE, 1.0 - SURE)
        cut = -np.asarray(_inverse(negative), dtype=np.float64)
        hazard = density(cut) / (1.0 - negative)
        shrink = hazard * (hazard + cut)
        slope = covariance[:, j, j + 1 :] / sd[:, None]
        mean[:, j + 1 :] += slope * hazard[:, None]
        covariance[:, j + 1 :, j + 1 :] -= shrink[:, None, None] * slope[:, :, None] * slope[:, None, :]
    return -np.expm1(log_all_positive)


def _log_positive(t: Floats) -> Floats:
    return np.asarray(np.log1p(-np.minimum(tail(t), 1.0 - SURE)))


def _pair_correction(first: Floats, second: Floats, r: Floats) -> Floats:
    """Returns the log of the exact P(second > 0 | first > 0) over that of the normal approximation."""
    negative = np.minimum(tail(first), 1.0 - SURE)
    overtaken = np.maximum(tail(second) - both_above(first, second, r), 0.0) / (1.0 - negative)
    hazard = density(first) / (1.0 - negative)
    left = np.sqrt(np.maximum(1.0 - hazard * (hazard + first) * r * r, 1e-12))
    return np.log1p(-np.minimum(overtaken, 1.0 - SURE)) - _log_positive((second + r * hazard) / left)
