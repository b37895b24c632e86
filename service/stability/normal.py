"""The normal law: its distribution function, and the chance that several correlated normals are all positive."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SQRT2 = math.sqrt(2.0)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
_NOWHERE = 40.0  # sigmas at which the density is 0 in a float64; the square of much larger ones would overflow
_erfc = np.frompyfunc(math.erfc, 1, 1)


def tail(z: Floats) -> Floats:
    """P(N(0, 1) > z), elementwise, to full relative precision for large z too."""
    return 0.5 * np.asarray(_erfc(z / _SQRT2), dtype=np.float64)


def density(z: Floats) -> Floats:
    """The standard normal density, elementwise."""
    z = np.minimum(np.abs(z), _NOWHERE)
    return _DENSITY * np.exp(-0.5 * z * z)


def any_negative(mean: Floats, covariance: Floats) -> Floats:
    """Chance that at least one of several jointly normal quantities is negative.

    The orthant probability is taken one quantity after the other: each is conditioned on being positive, and the rest
    get the mean and covariance of that truncated law (Mendell and Elston, Biometrics 30, 1974, 41-57). Exact for one
    quantity; closed form, no draws.

    Args:
        mean: (rows, R), in the order in which to condition: most doubtful first.
        covariance: (rows, R, R), symmetric and positive semi-definite, also rank-deficient. A quantity without
            variance counts as certain.

    Returns:
        (rows,) probabilities in [0, 1], precise for tiny values.
    """
    mean = mean.copy()
    covariance = covariance.copy()
    log_all_positive = np.zeros(len(mean))
    floor = 1e-12 * np.maximum(np.einsum("nrr->nr", covariance), np.finfo(np.float64).tiny)
    for j in range(mean.shape[1]):
        variance = covariance[:, j, j]
        spread = variance > floor[:, j]
        sd = np.sqrt(np.where(spread, variance, 1.0))
        t = np.where(spread, mean[:, j] / sd, np.inf)
        negative = tail(t)
        log_all_positive += np.log1p(-np.minimum(negative, 1.0 - 1e-16))
        if j + 1 == mean.shape[1]:
            break
        t = np.where(spread, t, 0.0)
        hazard = np.where(spread, density(t) / np.maximum(1.0 - negative, 1e-300), 0.0)
        shrink = hazard * (hazard + t)
        slope = covariance[:, j, j + 1 :] / sd[:, None]
        mean[:, j + 1 :] += slope * hazard[:, None]
        covariance[:, j + 1 :, j + 1 :] -= shrink[:, None, None] * slope[:, :, None] * slope[:, None, :]
    return -np.expm1(log_all_positive)
