"""Declares every metric of the service: its name, help text, labels and buckets.

The distributions of measures are declared with the measures (`stability.measures`), all other metrics here. Families
with a model version's labels are registered by `Metrics._version_family`, so that they are removed with the version.
Label values come from loaded models and registered routes alone, never from a request's text.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from prometheus_client import (
    Counter,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from chainzrule.service.stability.measures import MEASURES, Distribution
from chainzrule.service.telemetry.histogram import BatchHistogram
from chainzrule.service.telemetry.live import LiveCollector, VersionReading
from chainzrule.service.telemetry.logs import lost_lines
from chainzrule.service.telemetry.snapshot import Frozen, Registry

MODEL = ("model", "version")

# The buckets reach from 0.1 ms to 10 s.
SECONDS_BUCKETS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# The buckets are the powers of two up to the row limit of a request.
ROWS_BUCKETS = tuple(float(2**power) for power in range(13))


class Labelled(Protocol):
    """Stands for a family of metrics whose label sets can be removed."""

    def remove_by_labels(self, labels: dict[str, str]) -> None:
        """Removes every series that has these labels."""


Family = TypeVar("Family", bound=Labelled)


@dataclass(frozen=True)
class MeasureFamilies:
    """Holds the histograms of one measure; a field is None where the measure does not declare it."""

    values: BatchHistogram | None
    relative: BatchHistogram | None


class ReadGauge(Gauge):
    """Extends the library's gauge for values that only the event loop may read."""

    def frozen(self) -> Frozen:
        """Returns the current value."""
        return Frozen(self.collect())


class ReadCounter(Collector):
    """Collects a counter whose values are counted elsewhere, by the values of one label."""

    def __init__(self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        self._name = name
        self._help = help_text
        self._label = label
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Returns the family with its current values."""
        family = CounterMetricFamily(self._name, self._help, labels=(self._label,))
        for value, count in self._read().items():
            family.add_metric((value,), count)
        return [family]


class Metrics:
    """Holds one application's metrics, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = Registry()
        self._versioned: list[Labelled] = []
        self.measures = {
            measure.name: MeasureFamilies(
                self._distribution(measure.histogram), self._distribution(measure.relative_histogram)
            )
            for measure in MEASURES
        }
        self.predictions = self._version_counter(
            "predictions_total", "Observed predictions by stability verdict.", "verdict"
        )
        self.out_of_range = self._version_counter(
            "out_of_range_features_total",
            "Observed rows in which this feature lay outside the range seen in training (tables only).",
            "feature",
        )
        self.outside = self._version_counter(
            "out_of_range_rows_total", "Observed rows in which any feature lay outside the range seen in training."
        )
        self.novel = self._version_counter(
            "novel_rows_total", "Observed rows that are less like the training rows than nearly all held-out rows were."
        )
        self.close_calls = self._version_counter(
            "close_calls_total",
            "Observed rows whose label is right with less than the chance that the settings ask for.",
        )
        self.decisions = self._version_counter(
            "decisions_total", "Observed rows of models with a policy, by what it decided.", "action"
        )
        self.violations = self._version_counter(
            "constraint_violations_total",
            "Rows explained by /sensitivity at which the model breaks this feature's declared monotone effect.",
            "feature",
        )
        self.nonfinite = self._version_counter(
            "nonfinite_outputs_total", "Rows for which the model answered NaN or infinity; they are refused."
        )
        self.inference_seconds = self._version_histogram(
            "inference_duration_seconds",
            "Time of one batch: the graph's run and the stability measures.",
            SECONDS_BUCKETS,
        )
        self.batch_rows = self._version_histogram("batch_rows", "Rows that one run answered.", ROWS_BUCKETS)
        self.request_seconds = BatchHistogram(
            "chainzrule_request_duration_seconds",
            "Time from a request's arrival to its answer.",
            ("route", "method", "code"),
            SECONDS_BUCKETS,
            registry,
        )
        self.in_progress = ReadGauge(
            "chainzrule_requests_in_progress", "Requests that are being answered.", registry=registry
        )
        self.held_bytes = ReadGauge(
            "chainzrule_held_bytes",
            "Bytes held for all requests: bodies, and what is read from them, until they are answered.",
            registry=registry,
        )
        self.ready = ReadGauge(
            "chainzrule_ready", "1 while traffic is welcome, as /readyz says with its status.", registry=registry
        )
        self.unreadable = Gauge(
            "chainzrule_repository_unreadable",
            "Places of the model repository that could not be looked at last; they are served on as they were.",
            registry=registry,
        )
        self.draining = Gauge(
            "chainzrule_draining",
            "1 while the service prepares to stop and asks for no more traffic.",
            registry=registry,
        )
        self.rejected = Counter(
            "chainzrule_rejected_requests_total",
            "Requests refused, by reason (the last part of the problem's type).",
            ("reason",),
            registry=registry,
        )
        self.wrong_tokens = Counter(
            "chainzrule_wrong_tokens_total",
            "Requests with a bearer token that is not valid.",
            registry=registry,
        )
        registry.register(
            ReadCounter(
                "chainzrule_log_lines_lost_total",
                "Log lines of this process that were not written, because nobody read them or they were repeated.",
                "reason",
                lost_lines,
            )
        )
        self.lost_reviews = ReadGauge(
            "chainzrule_lost_reviews", "Rows for review that could not be sent since the start.", registry=registry
        )
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

    def watch(
        self,
        states: Sequence[str],
        versions: Callable[[], Iterable[VersionReading]],
        queues: Callable[[], Iterable[tuple[str, int]]],
    ) -> None:
        """Makes every scrape read the state of the model versions, which is one of `states`, and of the queues.

        Args:
            states: the states that a version may be in.
            versions: returns the model versions.
            queues: returns how many requests wait for each model.
        """
        self.registry.register(LiveCollector(states, versions, queues))

    def forget(self, labels: tuple[str, str]) -> None:
        """Removes every series of a model version."""
        for family in self._versioned:
            family.remove_by_labels(dict(zip(MODEL, labels, strict=True)))

    def _version_family(self, family: Family) -> Family:
        self._versioned.append(family)
        return family

    def _version_counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return self._version_family(Counter(f"chainzrule_{name}", help_text, (*MODEL, *labels), registry=self.registry))

    def _version_histogram(self, name: str, help_text: str, buckets: Sequence[float]) -> BatchHistogram:
        return self._version_family(BatchHistogram(f"chainzrule_{name}", help_text, MODEL, buckets, self.registry))

    def _distribution(self, declared: Distribution | None) -> BatchHistogram | None:
        if declared is None:
            return None
        return self._version_histogram(declared.name, declared.help, declared.buckets)
