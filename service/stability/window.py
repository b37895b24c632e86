"""Keeps a rolling window of a model version's latest observed rows, for comparison with the card's reference."""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Reference
from chainzrule.service.stability.reference import tail_ratio
from chainzrule.service.stability.verdict import NOT_MEASURABLE, VERDICTS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class WindowSummary:
    """Summarises the window; the ratios are None until it holds the minimum number of rows.

    Attributes:
        samples: the number of rows in the window.
        gradient_tail_ratio: 99th percentile over mean of the gradient norm.
        volatility_reference_ratio: mean volatility over the card's mean.
        volatility_quantiles: the 50th, 90th and 99th percentile of the volatility.
        verdicts: the number of rows by verdict.
        out_of_range_rate: the fraction of rows with a feature outside its range.
        novel_rate: the fraction of novel rows.
    """

    samples: int
    gradient_tail_ratio: float | None
    volatility_reference_ratio: float | None
    volatility_quantiles: dict[str, float]
    verdicts: dict[str, int]
    out_of_range_rate: float | None
    novel_rate: float | None


class Window:
    """Keeps the latest `capacity` rows in a ring buffer. It is written and read on the event loop alone."""

    def __init__(self, capacity: int, minimum: int, reference: Reference) -> None:
        self._volatility = np.zeros(capacity)
        self._gradient_norm = np.zeros(capacity)
        self._level = np.zeros(capacity, dtype=np.int64)
        self._outside = np.zeros(capacity, dtype=np.bool_)
        self._novel = np.zeros(capacity, dtype=np.bool_)
        self._rings: tuple[NDArray[Any], ...] = (
            self._volatility,
            self._gradient_norm,
            self._level,
            self._outside,
            self._novel,
        )
        self._next = 0
        self._minimum = minimum
        self._reference = reference
        self.samples = 0

    def add(
        self,
        volatility: Floats | float,
        gradient_norm: Floats | float,
        level: NDArray[np.int64] | int,
        outside: NDArray[np.bool_] | bool,
        novel: NDArray[np.bool_] | bool,
    ) -> None:
        """Adds rows given as arrays, or one row given as plain numbers; they replace the oldest ones."""
        capacity, begin = len(self._volatility), self._next
        if isinstance(volatility, float):
            kept = 1
            self._volatility[begin], self._gradient_norm[begin] = volatility, gradient_norm
            self._level[begin], self._outside[begin], self._novel[begin] = level, outside, novel
        else:
            kept = min(len(volatility), capacity)
            places = (begin + np.arange(kept)) % capacity
            for ring, values in zip(self._rings, (volatility, gradient_norm, level, outside, novel), strict=True):
                ring[places] = values[len(values) - kept :]  # type: ignore[index,arg-type]  # all are arrays here
        self._next = (begin + kept) % capacity
        self.samples = min(self.samples + kept, capacity)

    def frozen(self) -> "Window":
        """Returns a copy of what the ratios are computed from, which another thread may read."""
        copied = copy(self)
        copied._volatility = self._volatility[: self.samples].copy()
        copied._gradient_norm = self._gradient_norm[: self.samples].copy()
        return copied

    def gradient_tail_ratio(self) -> float | None:
        """Returns the live tail ratio of the gradient norm; None until the window holds enough rows."""
        if self.samples < self._minimum:
            return None
        return tail_ratio(self._gradient_norm[: self.samples])

    def volatility_reference_ratio(self) -> float | None:
        """Returns the live mean volatility over the card's; None until it holds enough rows, or if the card's is 0."""
        if self.samples < self._minimum or not self._reference.volatility.mean > 0:
            return None
        return float(self._volatility[: self.samples].mean()) / self._reference.volatility.mean

    def summary(self) -> WindowSummary:
        """Returns a summary of the window as it is now."""
        filled = slice(0, self.samples)
        measured = VERDICTS[:NOT_MEASURABLE]  # what is not measurable is not in the window
        counts = np.bincount(self._level[filled], minlength=len(measured)).tolist()
        quantiles = np.quantile(self._volatility[filled], (0.5, 0.9, 0.99)).tolist() if self.samples else ()
        return WindowSummary(
            samples=self.samples,
            gradient_tail_ratio=self.gradient_tail_ratio(),
            volatility_reference_ratio=self.volatility_reference_ratio(),
            volatility_quantiles=dict(zip(("p50", "p90", "p99"), quantiles, strict=False)),
            verdicts=dict(zip(measured, counts, strict=True)),
            out_of_range_rate=float(self._outside[filled].mean()) if self.samples else None,
            novel_rate=float(self._novel[filled].mean()) if self.samples else None,
        )
