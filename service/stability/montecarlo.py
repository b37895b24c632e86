"""Estimates stability by Monte Carlo: the measures from drawn noise, some of them with confidence intervals."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.link import Link

Floats = NDArray[np.float64]

Z = 1.959963984540054  # the quantile of the standard normal law for a two-sided 95% interval


class Estimate(NamedTuple):
    """Holds an estimate and its 95% confidence interval."""

    value: float
    low: float
    high: float


class Tally:
    """Collects the draws of one row, batch by batch; of each draw it keeps the reported output and nothing else."""

    def __init__(self, link: Link, scores: Floats) -> None:
        """Starts from the row's scores without noise, (S,)."""
        self._link = link
        self._label = link.label(scores[None])
        self._origin = float(link.deviation(scores[None], self._label)[0])
        self._away: list[Floats] = []  # the outputs' differences from the row's own output
        self.draws = 0
        self.flips = 0
        self._labels = np.zeros(len(scores) + 1, np.int64)  # how many draws have each label

    def add(self, scores: NDArray[np.float32]) -> None:
        """Takes in draws, given their scores, (draws, S)."""
        s = scores.astype(np.float64)
        self._away.append(self._link.deviation(s, np.repeat(self._label, len(s))) - self._origin)
        self.draws += len(s)
        label = self._link.label(s)
        self.flips += int(np.count_nonzero(label != self._label))
        self._labels += np.bincount(label, minlength=len(self._labels))

    def runner_up(self, expected: int) -> int:
        """Returns the label that the draws have most often instead of the row's own; `expected` where none has."""
        others = self._labels.copy()
        others[self._label] = 0
        return int(others.argmax()) if others.any() else expected

    def volatility(self) -> Estimate:
        """Returns the standard deviation of the reported output, with the interval of its variance, a mean of squares.

        Where probabilities are near 0 or 1, a few draws make up most of that mean, and the estimate is mostly too low:
        the interval allows for the squares' skewness, by the cubic transformation of Hall (1992).
        """
        n, away = self.draws, np.concatenate(self._away)
        away = away - away.mean()
        unit = float(np.abs(away).max())
        if unit == 0.0:
            return Estimate(0.0, 0.0, 0.0)
        squares = np.square(away / unit)
        variance = float(squares.mean())
        rest = squares - variance
        spread = float(rest.std())
        skewness = float(np.mean((rest / spread) ** 3)) / math.sqrt(n) if spread > 0 else 0.0

        def sd(z: float) -> float:
            found = variance + spread / math.sqrt(n) * _skewed(z, skewness)
            return unit * math.sqrt(max(found, 0.0) * n / (n - 1))

        return Estimate(unit * math.sqrt(variance * n / (n - 1)), sd(-Z), sd(Z))

    def flip_probability(self) -> Estimate:
        """Returns the fraction of draws that changed the label, with Wilson's interval."""
        n, share = self.draws, self.flips / self.draws
        centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
        low = centre - half if self.flips else 0.0  # rounding would give a number that is only nearly 0
        return Estimate(share, low, centre + half if self.flips < n else 1.0)


def _skewed(z: float, skewness: float) -> float:
    """Returns how many standard errors above its estimate a mean is at the quantile z, given the mean's skewness."""
    if abs(skewness) < 1e-6:
        return z
    return 3.0 / skewness * (1.0 - float(np.cbrt(1.0 - skewness * (z + skewness / 6.0))))
