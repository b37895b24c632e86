"""Stability by drawing the noise itself: what the closed-form measures say, counted, with how sure the count is."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.artifact.card import Task

Floats = NDArray[np.float64]

Z = 1.959963984540054  # two-sided 95% of a normal law


class Estimate(NamedTuple):
    """A number and its 95% confidence interval."""

    value: float
    low: float
    high: float


class Tally:
    """Counts the draws of one row, batch by batch, so that memory does not grow with them."""

    def __init__(self, task: Task, scores: Floats) -> None:
        """Start with the row's own scores, (S,)."""
        self._task = task
        self._label = int(labels(task, scores[None])[0])
        self._origin = float(outputs(task, scores[None], self._label)[0])
        self._sums = np.zeros(4)  # of the first four powers of the output's distance from the row's own
        self.draws = 0
        self.flips = 0

    def add(self, scores: NDArray[np.float32]) -> None:
        """Count draws, given their scores (draws, S)."""
        s = scores.astype(np.float64)
        away = outputs(self._task, s, self._label) - self._origin
        self._sums += [np.sum(away**power) for power in (1, 2, 3, 4)]
        self.draws += len(s)
        self.flips += int(np.count_nonzero(labels(self._task, s) != self._label))

    def volatility(self) -> Estimate:
        """Standard deviation of the reported output; its standard error by the draws' own fourth moment."""
        n = self.draws
        m1, m2, m3, m4 = (self._sums / n).tolist()
        variance = max(m2 - m1**2, 0.0)
        sd = math.sqrt(variance * n / (n - 1))
        fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
        error = math.sqrt(max(fourth - variance**2, 0.0) / n) / (2 * sd) if sd > 0 else 0.0
        return Estimate(sd, max(sd - Z * error, 0.0), sd + Z * error)

    def flip_probability(self) -> Estimate:
        """Share of draws that changed the label, with Wilson's interval."""
        n, share = self.draws, self.flips / self.draws
        centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
        low = centre - half if self.flips else 0.0  # exactly, where rounding would say nearly
        return Estimate(share, low, centre + half if self.flips < n else 1.0)


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
