"""Reads columns of heavy tails on a logarithmic scale, asinh((x - start) / scale), and chooses that scale.

Polynomials grow beyond measure at the far end of a heavy tail, and all rows but a few share one spot at the other end.
On the scale chosen here a column is as near to a normal law as it can be made. asinh is a logarithm of both signs,
smooth everywhere, so the derivative per raw unit is as exact as without it.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import Bend
from chainzrule.training.data.weights import moments

Floats = NDArray[np.float64]

FAR = 6.0  # standard deviations from the mean that some value must reach: fewer are no heavy tail
GAIN = 0.1  # by how much the correlation with a normal law must rise
SHARES = (0.05, 0.1, 0.25, 0.5)  # of the distances from the start, which are tried as scales
MOST_ROWS = 5_000  # of more rows than this, every n-th is enough to choose by


@dataclass(frozen=True)
class Bends:
    """Holds the scales of all columns: `keep` x + asinh(`steepness` (x - `start`)), standardised with `mean` and `std`.

    Attributes:
        keep: (D,) 1 for straight columns, 0 for bent ones.
        start: (D,) 0 for straight columns.
        steepness: (D,) 1 / scale; 0 for straight columns.
        mean: (D,) on the scale that the column is read on.
        std: (D,) likewise.
    """

    keep: Floats
    start: Floats
    steepness: Floats
    mean: Floats
    std: Floats

    @property
    def index(self) -> NDArray[np.int64]:
        """Returns the places of the bent columns."""
        return np.flatnonzero(self.keep == 0)

    def values(self, x: Floats) -> Floats:
        """Returns (rows, D) columns on the scales that they are read on, not yet standardised."""
        return np.asarray(self.keep * x + np.arcsinh((x - self.start) * self.steepness))


def bend_of(values: Floats, weights: Floats | None = None) -> Bend | None:
    """Returns the scale of a column, or None where it has no heavy tail.

    Args:
        values: (rows,) without gaps.
        weights: (rows,) how often each counts in mean and standard deviation; None where all count once.
    """
    spread = float(values.std())
    if len(np.unique(values)) < 10 or not np.abs(values - values.mean()).max() > FAR * spread > 0:
        return None
    bent = best_bend(values, weights)
    few = _few(values)
    straight = _normality(few, _normal_scores(few))
    bendable = _normality(np.arcsinh((few - bent.start) / bent.scale), _normal_scores(few))
    return bent if bendable > straight + GAIN else None


def best_bend(values: Floats, weights: Floats | None = None) -> Bend:
    """Returns the scale on which a column that varies is nearest to a normal law."""
    few = _few(values)
    normal, best = _normal_scores(few), (-np.inf, 0.0, 1.0)
    for start in (float(few.min()), float(few.max()), float(np.median(few))):
        distances = np.abs(few - start)
        distances = distances[distances > 0]
        for scale in np.quantile(distances, SHARES).astype(np.float32).astype(np.float64).tolist():
            best = max(best, (_normality(np.arcsinh((few - start) / scale), normal), start, scale))
    _, start, scale = best
    mean, std = moments(np.arcsinh((values - start) / scale), weights)
    return Bend(start=start, scale=scale, mean=float(mean), std=float(std) or 1.0)


def _few(values: Floats) -> Floats:
    """Returns every n-th value by size, in float32, because the graphs' constants are."""
    ordered = np.sort(values).astype(np.float32).astype(np.float64)
    step = -(-len(ordered) // MOST_ROWS)
    return np.append(ordered[:-1:step], ordered[-1])


def _normal_scores(values: Floats) -> Floats:
    """Returns what a normal law would have at each value's rank (Blom 1958)."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2
    normal = NormalDist()
    return np.array([normal.inv_cdf(share) for share in ((rank - 0.375) / (len(values) + 0.25)).tolist()])[place]


def _normality(values: Floats, normal: Floats) -> float:
    """Returns the correlation of a probability plot: 1 for a normal law."""
    return float(np.corrcoef(values, normal)[0, 1]) if values.std() > 0 else -1.0
