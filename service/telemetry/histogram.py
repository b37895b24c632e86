"""Provides a Prometheus histogram that counts a batch of values in one call, and a single value at little cost."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString


class Bins:
    """Holds the counts of one label set."""

    __slots__ = ("_buckets", "_counts", "_edges", "_single", "_sum")

    def __init__(self, buckets: Sequence[float]) -> None:
        self._buckets = list(buckets)
        self._edges = np.array(buckets)
        self._counts = np.zeros(len(buckets) + 1, dtype=np.int64)
        self._single = [0] * len(self._counts)  # the values that came alone; numpy takes longer for one than for many
        self._sum = 0.0

    def observe(self, values: NDArray[np.float64] | float) -> None:
        """Counts the finite ones of values, given as an array, (rows,), or as one number."""
        if isinstance(values, float):
            self._single[bisect_left(self._buckets, values)] += 1
            self._sum += values
            return
        at = np.searchsorted(self._edges, values, side="left")
        self._counts += np.bincount(at, minlength=len(self._counts))
        self._sum += float(values.sum())

    def frozen(self) -> "Bins":
        """Returns a copy, which later counts do not change."""
        copied = Bins.__new__(Bins)
        copied._buckets, copied._edges, copied._sum = self._buckets, self._edges, self._sum
        copied._counts, copied._single = self._counts.copy(), self._single.copy()
        return copied

    @property
    def empty(self) -> bool:
        """Returns whether nothing was counted yet."""
        return not (self._counts.any() or any(self._single))

    def read(self) -> tuple[list[tuple[str, float]], float]:
        """Returns the cumulative counts by upper bound, and the sum of the values."""
        bounds = [*map(floatToGoString, self._buckets), "+Inf"]
        counts = np.cumsum(self._counts + self._single)
        return list(zip(bounds, counts.astype(float).tolist(), strict=True)), self._sum


class BatchHistogram(Collector):
    """Collects a histogram family. It is written on the event loop alone, so it needs no lock.

    A label set of which nothing was counted yet is not exposed: with many models, most of all lines would be zeros.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._labels = tuple(labels)
        self._name = name
        self._documentation = documentation
        self._buckets = buckets
        self._bins: dict[tuple[str, ...], Bins] = {}
        registry.register(self)

    def labels(self, *values: str) -> Bins:
        """Returns the bins of one label set, which are made on first use."""
        bins = self._bins.get(values)
        if bins is None:
            bins = self._bins[values] = Bins(self._buckets)
        return bins

    def remove_by_labels(self, labels: dict[str, str]) -> None:
        """Forgets every label set that has these labels; its bins, where still referred to, are no longer exposed."""
        wanted = [(self._labels.index(name), value) for name, value in labels.items()]
        for values in [values for values in self._bins if all(values[at] == value for at, value in wanted)]:
            del self._bins[values]

    def describe(self) -> Iterable[Metric]:
        """Returns the empty family, from which the registry learns the name."""
        return [HistogramMetricFamily(self._name, self._documentation, labels=self._labels)]

    def collect(self) -> Iterable[Metric]:
        """Returns the family with its current counts."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for labels, bins in self._bins.items():
            if not bins.empty:
                buckets, total = bins.read()
                family.add_metric(labels, buckets, total)
        return [family]

    def frozen(self) -> "BatchHistogram":
        """Returns a copy, which is in no registry."""
        copied = copy(self)
        copied._bins = {labels: bins.frozen() for labels, bins in self._bins.items()}
        return copied
