"""Keeps the metrics as they were at one moment, so that another thread can write them out while they go on changing."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry


@runtime_checkable
class Changing(Protocol):
    """Stands for a collector that only the event loop may read."""

    def frozen(self) -> Collector:
        """Returns a collector of the values as they are now, which any thread may read."""


class Registry(CollectorRegistry):
    """Extends the library's registry with snapshots."""

    def __init__(self) -> None:
        super().__init__()
        self._collectors: list[Collector] = []

    def register(self, collector: Collector) -> None:
        """Adds a collector, whose families every later snapshot holds."""
        super().register(collector)
        self._collectors.append(collector)

    def snapshot(self) -> "Snapshot":
        """Returns the metrics as they are now; it takes microseconds for each model version."""
        return Snapshot([each.frozen() if isinstance(each, Changing) else each for each in self._collectors])


class Snapshot(Collector):
    """Holds frozen collectors, and the library's own, which guard their values by locks."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        self._collectors = list(collectors)

    def collect(self) -> Iterable[Metric]:
        """Returns the families of all collectors as they were when the snapshot was taken."""
        for collector in self._collectors:
            yield from collector.collect()

    def text(self, accept: str) -> tuple[bytes, str]:
        """Returns all metrics in the format that the scraper accepts, and their content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self), content_type


class Frozen(Collector):
    """Holds families whose values have been read."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        """Returns the families as they were when they were frozen."""
        return self._families
