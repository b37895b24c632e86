"""The verdict on a prediction: stable, elevated or unstable, and why. Facts are the card's, policy is the settings'."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.card import QUANTILES, Reference, Task
from chainzrule.service.stability.lone.measures import RowDiagnosis
from chainzrule.service.stability.measures import Diagnosis

VERDICTS = ("stable", "elevated", "unstable")
_PERCENTS = np.arange(float(QUANTILES))
_STABLE, _ELEVATED, _UNSTABLE = range(3)


@dataclass(frozen=True)
class Thresholds:
    """Where verdicts begin; percentiles are those of the card's held-out rows."""

    unstable_flip_probability: float = 0.05
    elevated_flip_probability: float = 0.01
    elevated_volatility_percentile: int = 99
    regression_elevated_percentile: int = 95
    regression_unstable_percentile: int = 99
    regression_unstable_factor: float = 2.0


class Verdicts(NamedTuple):
    """Verdicts of a batch, and which rules spoke.

    Attributes:
        level: (rows,) index into `VERDICTS`.
        flip: (rows,) whether the flip probability reached a threshold.
        volatile: (rows,) whether the volatility is above the card's threshold.
        outside: (rows,) whether a feature lies outside its training range.
    """

    level: NDArray[np.int64]
    flip: NDArray[np.bool_]
    volatile: NDArray[np.bool_]
    outside: NDArray[np.bool_]

    def reasons(self, row: int) -> list[str]:
        """The rules that spoke for one row."""
        rules = (("flip_probability", self.flip), ("volatility", self.volatile), ("out_of_range", self.outside))
        return [name for name, spoke in rules if spoke[row]]


class RowVerdict(NamedTuple):
    """One row of `Verdicts`, field by field."""

    level: int
    flip: bool
    volatile: bool
    outside: bool


def judge(
    task: Task, diagnosis: Diagnosis, outside: NDArray[np.bool_], reference: Reference, thresholds: Thresholds
) -> Verdicts:
    """Judge a batch against the card's reference; `outside` is (rows,): a feature lies out of its range."""
    quantiles = reference.volatility.quantiles
    if task == "regression":
        flip = np.zeros(len(outside), dtype=np.bool_)
        limit = thresholds.regression_unstable_factor * quantiles[thresholds.regression_unstable_percentile]
        unstable = diagnosis.volatility > limit
        volatile = (diagnosis.volatility > quantiles[thresholds.regression_elevated_percentile]) | unstable
    else:
        flip = diagnosis.flip_probability >= thresholds.elevated_flip_probability
        unstable = diagnosis.flip_probability >= thresholds.unstable_flip_probability
        flip |= unstable
        volatile = diagnosis.volatility > quantiles[thresholds.elevated_volatility_percentile]
    level = np.where(unstable, _UNSTABLE, np.where(flip | volatile | outside, _ELEVATED, _STABLE))
    return Verdicts(level, flip, volatile, outside)


def reference_unstable_share(task: Task, reference: Reference, thresholds: Thresholds) -> float | None:
    """Share of the card's held-out rows that are unstable by these thresholds, to within a percent.

    None where the card does not say how likely its rows flip.
    """
    if task == "regression":
        quantiles = reference.volatility.quantiles
        limit = thresholds.regression_unstable_factor * quantiles[thresholds.regression_unstable_percentile]
        return 1.0 - percentile_among(limit, quantiles) / 100.0
    if reference.flip_probability is None:
        return None
    return 1.0 - percentile_among(thresholds.unstable_flip_probability, reference.flip_probability.quantiles) / 100.0


def percentile(volatility: NDArray[np.float64], reference: Reference) -> NDArray[np.float64]:
    """(rows,) where each volatility lies among the card's held-out rows, 0 to 100."""
    quantiles, distinct = _as_array(reference.volatility.quantiles)
    if distinct:
        return np.asarray(np.interp(volatility, quantiles, _PERCENTS))
    low = np.searchsorted(quantiles, volatility, side="left")
    high = np.searchsorted(quantiles, volatility, side="right")
    # Inside a run of equal quantiles the middle of the run; between two quantiles, linear.
    inner = np.clip(low, 1, len(quantiles) - 1)
    below, above = quantiles[inner - 1], quantiles[inner]
    width = np.where(above > below, above - below, 1.0)
    between = inner - 1 + np.clip((volatility - below) / width, 0.0, 1.0)
    found = np.where(high > low, (low + high - 1) / 2.0, between)
    return np.where(volatility > quantiles[-1], 100.0, found)


def judge_row(
    task: Task, diagnosis: RowDiagnosis, outside: bool, reference: Reference, thresholds: Thresholds
) -> RowVerdict:
    """`judge` for one row, in plain floats."""
    quantiles = reference.volatility.quantiles
    volatility = diagnosis.volatility
    if task == "regression":
        flip = False
        unstable = volatility > (
            thresholds.regression_unstable_factor * quantiles[thresholds.regression_unstable_percentile]
        )
        volatile = unstable or volatility > quantiles[thresholds.regression_elevated_percentile]
    else:
        unstable = diagnosis.flip_probability >= thresholds.unstable_flip_probability
        flip = unstable or diagnosis.flip_probability >= thresholds.elevated_flip_probability
        volatile = volatility > quantiles[thresholds.elevated_volatility_percentile]
    level = _UNSTABLE if unstable else _ELEVATED if flip or volatile or outside else _STABLE
    return RowVerdict(level, flip, volatile, outside)


def percentile_row(volatility: float, reference: Reference) -> float:
    """`percentile` for one row."""
    return percentile_among(volatility, reference.volatility.quantiles)


def percentile_among(value: float, quantiles: tuple[float, ...]) -> float:
    """Where a value lies among the 0th to 100th percentiles of others, 0 to 100."""
    low, high = bisect_left(quantiles, value), bisect_right(quantiles, value)
    last = len(quantiles) - 1
    if value > quantiles[last]:
        return 100.0
    if high > low:
        return (low + high - 1) / 2.0
    inner = min(max(low, 1), last)
    below, above = quantiles[inner - 1], quantiles[inner]
    width = above - below if above > below else 1.0
    return inner - 1 + min(max((value - below) / width, 0.0), 1.0)


@lru_cache(maxsize=64)
def _as_array(quantiles: tuple[float, ...]) -> tuple[NDArray[np.float64], bool]:
    """The quantiles, and whether they are all different."""
    array = np.asarray(quantiles)
    return array, bool((np.diff(array) > 0).all())
