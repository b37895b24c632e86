"""Turns predictions into regions that hold the truth with a stated confidence: sets of labels, or intervals.

This is split conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005). The card
holds the errors of rows that the model was not fitted to: -log p of the true label, or the distance of the true value
over the expected one. A region holds all answers whose error would be at most a quantile of those. Where new rows come
from the same source as the held-out ones, it misses the truth for at most the share 1 - confidence of them.
"""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import MAX_ERRORS, SLICED, Conformity, Slice
from chainzrule.service.stability.certificate import Ends
from chainzrule.service.stability.link import Link
from chainzrule.service.stability.temperature import fit_temperature

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# The labels' indices of a set, the two ends of an interval (None where an end is infinite), or None where the card does
# not say how far the truth lies from answers.
ListedRegion = Sequence[Any] | None

DEFAULT_CONFIDENCE = 0.9
LARGEST_ERROR = 80.0  # -log p beyond which float32 probabilities are no longer told apart
MARGIN = 1.0 - 1e-6  # lowers the probability from which labels belong to a set, for the rounding of float32
ROUNDING = 2.0**-22  # of ordered levels' probabilities, which are differences of float32 numbers near 1
FEWEST_ROWS = 100  # from which the expected distance may hang on the volatility
STANDARD_ERRORS = 3.0  # by which the slope of the one over the other is to be above 0 for that
FOLDS = 10  # in which rows are told their expected distance by the others
KNOWN_CONFIDENCES = 256  # whose limits are kept, so that a request does not compute its own


def make_conformity(
    link: Link, scores: Floats, y: NDArray[np.generic], volatility: Floats | None, out_of_fold: bool
) -> Conformity:
    """Returns the errors of held-out rows, for a card.

    Args:
        link: what the scores mean.
        scores: (rows, S) the scores.
        y: (rows,) the true labels' indices, or the true values.
        volatility: (rows,) the volatility of a regression's output at one noise sigma; None where it takes further
            runs, which an answer may go without, and then all rows are expected to err alike.
        out_of_fold: whether the rows were scored by models that were fitted without them.
    """
    scale, per_volatility = None, 0.0
    if link.has_labels:
        errors = np.clip(-link.log_likelihood(scores, y), 0.0, LARGEST_ERROR)
    else:
        distance = np.abs(y.astype(np.float64) - scores[:, 0])
        # A model that is exact on every row would have a distance of 0, by which nothing can be divided.
        scale = max(float(distance.mean()), float(np.finfo(np.float32).tiny))
        errors = distance / scale
        if volatility is not None and _hang_together(distance, volatility):
            scale, per_volatility = _expected_distance(distance, volatility)
            errors = distance / _expected_of_others(distance, volatility)
    kept, rows = np.sort(errors), len(errors)
    if rows > MAX_ERRORS:
        kept = kept[_kept_ranks(rows) - 1]
    known = Conformity(
        rows=rows,
        out_of_fold=out_of_fold,
        scale=scale,
        per_volatility=per_volatility,
        temperature=fit_temperature(link, scores, y),
        errors=tuple(map(_raised, kept.tolist())),
    )
    return known.model_copy(update={"slices": _slices(known, errors, _groups(link, scores, y))})


def _groups(link: Link, scores: Floats, y: NDArray[np.generic]) -> list[Mask]:
    """Returns which rows belong to each slice."""
    if link.has_labels:
        probabilities = link.probabilities(scores)
        assert probabilities is not None
        return [y.astype(np.int64) == label for label in range(probabilities.shape[1])]
    quarter = np.searchsorted(np.quantile(scores[:, 0], [0.25, 0.5, 0.75]), scores[:, 0])
    return [quarter == number for number in range(4)]


def _slices(known: Conformity, errors: Floats, groups: list[Mask]) -> tuple[Slice, ...]:
    limits = [largest_error(known, confidence) for confidence in SLICED]
    found = []
    for group in groups:
        held = [float(np.mean(errors[group] <= limit)) for limit in limits] if group.any() else None
        found.append(Slice(rows=int(group.sum()), coverage=None if held is None else (held[0], held[1], held[2])))
    return tuple(found)


def _hang_together(distance: Floats, spread: Floats) -> bool:
    """Returns whether volatile rows err more, by more than chance lets them seem to."""
    rows, variances = len(distance), float(distance.var() * spread.var())
    if rows < FEWEST_ROWS or variances == 0.0:
        return False
    covariance = float(np.mean((distance - distance.mean()) * (spread - spread.mean())))
    correlation = covariance / math.sqrt(variances)
    return correlation * math.sqrt(rows - 2) > STANDARD_ERRORS * math.sqrt(max(1.0 - correlation * correlation, 0.0))


def _expected_distance(distance: Floats, spread: Floats) -> tuple[float, float]:
    """Returns the line of the distance over the volatility: where it starts, and its slope, which is at least 0.

    It passes through the means. It starts at a tenth of the mean distance or above, so that no interval is a point.
    """
    mean, middle = float(distance.mean()), float(spread.mean())
    slope = float(np.mean((distance - mean) * (spread - middle)) / spread.var())
    slope = min(max(slope, 0.0), 0.9 * mean / middle)
    return mean - slope * middle, slope


def _expected_of_others(distance: Floats, spread: Floats) -> Floats:
    """Returns (rows,) the expected distance of each row by a line that knows nothing of it, as none knows new rows."""
    expected = np.empty_like(distance)
    for fold in range(FOLDS):
        others = np.arange(len(distance)) % FOLDS != fold
        scale, slope = _expected_distance(distance[others], spread[others])
        expected[~others] = scale + slope * spread[~others]
    return expected


def _kept_ranks(rows: int) -> NDArray[np.int64]:
    """Returns the ranks of the errors that are kept: those of all confidences in steps of 1 / MAX_ERRORS."""
    return np.minimum(-(np.arange(1, MAX_ERRORS + 1) * -(rows + 1) // MAX_ERRORS), rows)


class Regions:
    """Says which answers belong to the regions of one model version.

    Attributes:
        scale: the expected distance where there is no volatility; None where the regions are sets of labels.
        per_volatility: the expected distance that each unit of volatility adds.
        ordered: whether the labels are ordered levels, so that a set has no gap.
        limit: gives for a confidence the probability from which labels belong to a set, or the error up to which
            numbers belong to an interval; it is computed once for each confidence.
    """

    def __init__(self, known: Conformity, ordered: bool) -> None:
        self.scale = known.scale
        self.per_volatility = known.per_volatility
        self.ordered = ordered

        @lru_cache(KNOWN_CONFIDENCES)
        def limit(confidence: float) -> float:
            error = largest_error(known, confidence)
            return error if known.scale is not None else least_probability(error, ordered)

        self.limit = limit

    def limits(self, confidence: Floats) -> Floats:
        """Returns the limits of rows, (rows,), or the one limit of them all, (1,)."""
        asked = confidence.tolist()
        if asked.count(asked[0]) == len(asked):
            del asked[1:]
        return np.array([self.limit(one) for one in asked])


def largest_error(known: Conformity, confidence: float) -> float:
    """Returns the error up to which answers belong to a region; infinite where the rows are too few to tell.

    Of n + 1 rows in random order, the last has at most the k-th smallest error of the others with probability k/(n+1).
    """
    rank = math.ceil(round((known.rows + 1) * confidence, 9))  # 0.9 * 10 is 9 and no more
    if rank > known.rows:
        return math.inf
    if known.rows <= MAX_ERRORS:
        return known.errors[max(rank, 1) - 1]
    return known.errors[(rank - 1) * MAX_ERRORS // (known.rows + 1)]


def least_probability(error: float, ordered: bool) -> float:
    """Returns the probability from which labels belong to a set."""
    if error >= LARGEST_ERROR:
        return 0.0
    return max(math.exp(-error) * MARGIN - (ROUNDING if ordered else 0.0), 0.0)


def label_sets(probabilities: NDArray[np.floating], label: NDArray[np.int64], least: Floats, ordered: bool) -> Mask:
    """Returns (rows, K) whether each label belongs to its row's set.

    A set is empty where no label is likely enough: of rows on which a model is nearly always right, some have to be
    missed if it is to be right no more often than the confidence says. A set of ordered levels has no gap, and holds
    the predicted level, which is the median and need not be the likeliest, unless it is empty.

    Args:
        probabilities: (rows, K) the labels' probabilities.
        label: (rows,) the index of the predicted label.
        least: (rows,) or (1,) the probability from which labels belong to the set.
        ordered: whether the labels are ordered levels.
    """
    found: Mask = probabilities >= least[:, None]
    if ordered:
        found[np.arange(len(found)), label] |= found.any(axis=1)
        found = np.logical_or.accumulate(found, axis=1) & np.logical_or.accumulate(found[:, ::-1], axis=1)[:, ::-1]
    return found


def intervals(low: Floats, high: Floats, expected: Floats | float, error: Floats) -> tuple[Floats, Floats]:
    """Returns the (rows,) ends of intervals around predicted numbers; they may be infinite.

    Args:
        low: (rows,) the predicted numbers, or the least of those that are possible.
        high: (rows,) the predicted numbers, or the largest of those that are possible.
        expected: (rows,) the expected distances of the truth from them, or the one of all rows.
        error: (rows,) or (1,) the error up to which numbers belong to the interval.
    """
    half = error * expected
    return low - half, high + half


def members(sets: Mask) -> list[list[int]]:
    """Returns the indices of the labels in each row's set."""
    labels: list[int] = np.nonzero(sets)[1].tolist()
    ends: list[int] = np.count_nonzero(sets, axis=1).cumsum().tolist()
    return [labels[start:end] for start, end in pairwise([0, *ends])]


def listed_ends(found: Ends | None, rows: int) -> Iterable[ListedRegion]:
    """Returns the ends of so many rows' intervals in plain Python."""
    if found is None:
        return repeat(None, rows)
    ends = [[end if math.isfinite(end) else None for end in side.tolist()] for side in found]
    return map(list, zip(*ends, strict=True))


def _raised(error: float) -> float:
    """Returns an error to six digits, rounded up so that no region becomes smaller."""
    if error == 0.0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(error)) - 5)
    return float(f"{math.ceil(error / unit) * unit:.6g}")
