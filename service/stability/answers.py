"""Watches what a model answers: its labels, numbers and probabilities, beside those of the card's held-out rows.

Live answers are compared with the held-out ones a block of rows at a time, by the chi-square test for two samples.
Both are counted in the same bins: the labels, and intervals that hold about a tenth of the held-out rows each.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Answers, Counts
from chainzrule.service.stability.link import Link

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

BLOCK_ROWS = 1000  # in one comparison
FEWEST_ROWS = 50  # held-out rows from which a comparison says something
TENTHS = 10
PROBABILITY_DIGITS = 3  # to which probabilities are told apart, so that float32 and float64 fall in the same bin
LEAST_EXPECTED = 5.0  # rows in a bin, as the chi-square law asks for; bins with fewer are counted together
LARGEST_SCORE = 300.0


def make_answers(link: Link, scores: Floats) -> Answers:
    """Returns the card's part about the answers to held-out rows, whose scores are given, (rows, S)."""
    reading = link.read(scores)
    probabilities = link.probabilities(scores)
    if probabilities is None:
        return Answers(rows=len(scores), value=_tenths(reading.value))
    count = probabilities.shape[1]
    own = rounded(probabilities[np.arange(len(scores)), reading.label])
    labels = np.bincount(reading.label, minlength=count).tolist()
    return Answers(rows=len(scores), labels=tuple(labels), probability=_tenths(own))


def rounded(probability: NDArray[np.floating]) -> Floats:
    """Returns probabilities as they are told apart."""
    return np.asarray(np.round(probability.astype(np.float64), PROBABILITY_DIGITS))


def _tenths(values: Floats) -> Counts:
    """Returns how the values are distributed over intervals of about a tenth each, whose ends lie between values."""
    known = np.unique(values)
    wanted = np.quantile(values, np.arange(1, TENTHS) / TENTHS)
    above = np.unique(np.clip(np.searchsorted(known, wanted, side="right"), 1, max(len(known) - 1, 1)))
    edges = [float(f"{(known[at - 1] + known[at]) / 2.0:.6g}") for at in above if at < len(known)]
    edges = sorted(set(edges))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return Counts(edges=tuple(edges), rows=tuple(counts.tolist()))


def drift_score(live: Floats, known: Floats) -> float | None:
    """Returns minus the decimal logarithm of the chance that two samples of one law differ as much as these.

    It is None where the samples are too small, or all fall in one bin.

    Args:
        live: (bins,) the number of live rows in each bin.
        known: (bins,) the number of held-out rows.
    """
    if known.sum() < FEWEST_ROWS or live.sum() < FEWEST_ROWS:
        return None
    both = live + known
    smaller = min(live.sum(), known.sum()) / both.sum()
    few = both * smaller < LEAST_EXPECTED
    kept_live, kept_known = np.append(live[~few], live[few].sum()), np.append(known[~few], known[few].sum())
    some = kept_live + kept_known > 0
    kept_live, kept_known = kept_live[some], kept_known[some]
    if len(kept_live) < 2:
        return None
    ratio = math.sqrt(float(known.sum() / live.sum()))
    distance = (kept_live * ratio - kept_known / ratio) ** 2 / (kept_live + kept_known)
    return -log10_chi_square_tail(float(distance.sum()), len(kept_live) - 1)


def log10_chi_square_tail(x: float, degrees: int) -> float:
    """Returns the decimal logarithm of the chance that a chi-square variable exceeds `x`; at least -300.

    For whole degrees of freedom it is a finite sum (Abramowitz and Stegun, 26.4.4 and 26.4.5).
    """
    half = x / 2.0
    if half <= 0.0:
        return 0.0
    tail = math.erfc(math.sqrt(half)) if degrees % 2 else math.exp(-half)
    first = 0.5 if degrees % 2 else 1.0
    for step in range((degrees - 1) // 2):
        power = first + step
        tail += math.exp(power * math.log(half) - half - math.lgamma(power + 1.0))
    return math.log10(tail) if tail > 10.0**-LARGEST_SCORE else -LARGEST_SCORE


class Bins:
    """Counts one kind of answer.

    Attributes:
        kind: `label`, `probability` or `value`.
        names: the bins' names: the labels, or the intervals' upper ends.
        known: (bins,) the number of held-out rows in each.
        rows: the number of live rows in each so far.
        drift: the score of the latest whole block; None before, or where it cannot be told.
    """

    def __init__(self, kind: str, names: Sequence[str], edges: Sequence[float] | None, known: Sequence[int]) -> None:
        """Begins with no row; `edges` lie between the intervals, and are None for labels."""
        self.kind = kind
        self.names = tuple(names)
        self.known = np.array(known, dtype=np.float64)
        self.rows = [0] * len(known)
        self.drift: float | None = None
        self._edges = None if edges is None else list(edges)
        self._at_start = [0] * len(known)  # of the present block

    def add(self, values: Any) -> None:
        """Counts rows given as an array, or one row given as a plain number."""
        if isinstance(values, np.ndarray):
            found = values if self._edges is None else np.searchsorted(self._edges, values, side="right")
            for place, count in enumerate(np.bincount(found, minlength=len(self.rows)).tolist()):
                self.rows[place] += count
        else:
            self.rows[values if self._edges is None else bisect_right(self._edges, values)] += 1

    def compare(self, tests: int) -> None:
        """Ends a block and sets the drift, which allows for so many tests being made."""
        live = np.array(self.rows, dtype=np.float64) - self._at_start
        score = drift_score(live, self.known)
        self.drift = None if score is None else max(score - math.log10(tests), 0.0)
        self._at_start = list(self.rows)


class AnswerWatch:
    """Counts the answers of one model version. It is written and read on the event loop alone.

    Attributes:
        bins: the kinds of answers that are counted.
    """

    def __init__(self, known: Answers, labels: Sequence[str]) -> None:
        self.bins: list[Bins] = []
        if known.labels is not None:
            self.bins.append(Bins("label", labels, None, known.labels))
        for kind, counts in (("probability", known.probability), ("value", known.value)):
            if counts is not None:
                names = [*(f"{edge:g}" for edge in counts.edges), "+Inf"]
                self.bins.append(Bins(kind, names, counts.edges, counts.rows))
        self._block = 0

    def add(self, label: Any, probability: Any, value: Any, rows: int) -> None:
        """Counts rows given as arrays, or one row given as plain numbers; a run's rows end at most one block."""
        for bins in self.bins:
            if bins.kind == "label":
                bins.add(label)
            elif bins.kind == "value":
                bins.add(value)
            elif isinstance(probability, float):
                bins.add(round(probability, PROBABILITY_DIGITS))
            else:
                bins.add(rounded(probability))
        self._block += rows
        if self._block >= BLOCK_ROWS:
            self._block = 0
            for bins in self.bins:
                bins.compare(len(self.bins))

    def frozen(self) -> "AnswerWatch":
        """Returns a copy, which another thread may read."""
        return deepcopy(self)
