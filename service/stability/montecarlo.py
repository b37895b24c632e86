"""Stability by drawing the noise itself: what the closed-form measures say, counted, with how sure the count is."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.link import Link

Floats = NDArray[np.float64]

Z = 1.959963984540054  # two-sided 95% of a normal law


class Estimate(NamedTuple):
    """A number and its 95% confidence interval."""

    value: float
    low: float
    high: float


class Tally:
    """Counts the draws of one row, batch by batch; of each only the output is kept."""

    def __init__(self, link: Link, scores: Floats) -> None:
        """Starts with the row's own scores, (S,)."""
        self._link = link
        self._label = link.label(scores[None])
        self._origin = float(link.deviation(scores[None], self._label)[0])
        self._away: list[Floats] = []  # the outputs' distances from the row's own
        self.draws = 0
        self.flips = 0

    def add(self, scores: NDArray[np.float32]) -> None:
        """Counts draws, given their scores (draws, S)."""
        s = scores.astype(np.float64)
        self._away.append(self._link.deviation(s, np.repeat(self._label, len(s))) - self._origin)
        self.draws += len(s)
        self.flips += int(np.count_nonzero(self._link.label(s) != self._label))

    def volatility(self) -> Estimate:
        """Standard deviation of the reported output; the interval is its variance's, which is a mean of squares.

        Near 0 and 1 a few draws make most of that mean, and the count mostly falls short of the truth: the interval
        follows the squares' skewness, by the cubic transformation of Hall (1992).
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
        """Share of draws that changed the label, with Wilson's interval."""
        n, share = self.draws, self.flips / self.draws
        centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
        low = centre - half if self.flips else 0.0  # exactly, where rounding would say nearly
        return Estimate(share, low, centre + half if self.flips < n else 1.0)


def _skewed(z: float, skewness: float) -> float:
    """How many standard errors above its estimate a mean is at the quantile z; `skewness` is the mean's own."""
    if abs(skewness) < 1e-6:
        return z
    return 3.0 / skewness * (1.0 - float(np.cbrt(1.0 - skewness * (z + skewness / 6.0))))
