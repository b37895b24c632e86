"""Stability by drawing the noise itself: what the closed-form measures say, counted, with how sure the count is."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.card import Task

Floats = NDArray[np.float64]

Z = 1.959963984540054  # two-sided 95% of a normal law


class Estimate(NamedTuple):
    """A number and its 95% confidence interval."""

    value: float
    low: float
    high: float


class Tally:
    """Counts the draws of one row, batch by batch; of each only the output is kept."""

    def __init__(self, task: Task, scores: Floats) -> None:
        """Start with the row's own scores, (S,)."""
        self._task = task
        self._label = int(labels(task, scores[None])[0])
        self._origin = float(outputs(task, scores[None], self._label)[0])
        self._away: list[Floats] = []  # the outputs' distances from the row's own
        self.draws = 0
        self.flips = 0

    def add(self, scores: NDArray[np.float32]) -> None:
        """Count draws, given their scores (draws, S)."""
        s = scores.astype(np.float64)
        self._away.append(outputs(self._task, s, self._label) - self._origin)
        self.draws += len(s)
        self.flips += int(np.count_nonzero(labels(self._task, s) != self._label))

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


def labels(task: Task, scores: Floats) -> NDArray[np.int64]:
    """(rows,) index of the label; 0 for a regression."""
    if task == "classification":
        return np.asarray(scores.argmax(axis=1))
    return np.asarray((scores > 0).sum(axis=1)) if task == "ordinal" else np.zeros(len(scores), np.int64)


def outputs(task: Task, scores: Floats, label: int) -> Floats:
    """(rows,) what is reported, up to a constant and a sign: of a label's probability, the other labels' share."""
    if task == "regression":
        return scores[:, 0]
    if task == "ordinal":
        return np.asarray(np.exp(-np.logaddexp(0.0, -scores)).sum(axis=1))
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    total = odds.sum(axis=1)
    odds[:, label] = 0.0  # summed without it, a share keeps its precision where it is tiny
    return np.asarray(odds.sum(axis=1) / total)
