"""Every metric of the service: its name, help text, labels and buckets.

Label values come from loaded models and registered routes alone, never from a request's text.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from chainzrule.service.stability.verdict import VERDICTS
from chainzrule.service.telemetry.histogram import BatchHistogram

MODEL = ("model", "version")
STATES = ("LOADING", "READY", "FAILED")

# 1e-6 to 1e3, three a decade: volatility is in the output's own unit, whatever that is.
VOLATILITY_BUCKETS = (*(float(f"{mantissa}e{power}") for power in range(-6, 3) for mantissa in (1, 2, 5)), 1e3)
# A hundredth of the card's mean to a hundred times.
RELATIVE_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
# Around the verdicts' thresholds of 0.01 and 0.05; 0.5 is a tie.
PROBABILITY_BUCKETS = (1e-6, 1e-5, 1e-4, 1e-3, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
# 0.1 ms to 10 s.
SECONDS_BUCKETS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Powers of two up to the row limit of a request.
ROWS_BUCKETS = tuple(float(2**power) for power in range(13))


@dataclass(frozen=True)
class ReferenceReading:
    """What live traffic is compared with, from the card; None is left out of the exposition."""

    volatility: dict[str, float]  # by percentile
    gradient_tail_ratio: float
    out_of_range_ratio: float
    unstable_ratio: float | None


@dataclass(frozen=True)
class VersionReading:
    """A model version at the moment of a scrape; None is left out of the exposition."""

    model: str
    version: str
    state: str
    info: dict[str, str] | None = None
    loaded_timestamp: float | None = None
    window_samples: int | None = None
    gradient_tail_ratio: float | None = None
    volatility_reference_ratio: float | None = None
    reference: ReferenceReading | None = None


@dataclass(frozen=True)
class RowReadings:
    """Observed rows of one batch, to be counted; arrays are (rows,)."""

    volatility: NDArray[np.float64]
    relative: NDArray[np.float64] | None
    flip_probability: NDArray[np.float64] | None
    gradient_norm: NDArray[np.float64]
    verdicts: dict[str, int]
    out_of_range: dict[str, int]
    outside: int


class Metrics:
    """One application's metrics, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self.volatility = BatchHistogram(
            "chainzrule_prediction_volatility",
            "Standard deviation of the reported output under the declared input noise, in the output's unit.",
            MODEL,
            VOLATILITY_BUCKETS,
            registry,
        )
        self.relative_volatility = BatchHistogram(
            "chainzrule_prediction_volatility_relative",
            "Prediction volatility divided by the mean volatility of the model card's held-out rows.",
            MODEL,
            RELATIVE_BUCKETS,
            registry,
        )
        self.flip_probability = BatchHistogram(
            "chainzrule_prediction_flip_probability",
            "Chance that the declared input noise changes the predicted label.",
            MODEL,
            PROBABILITY_BUCKETS,
            registry,
        )
        self.gradient_norm = BatchHistogram(
            "chainzrule_input_gradient_norm",
            "Frobenius norm of the scores' derivative with respect to the inputs, per sigma of the declared noise.",
            MODEL,
            VOLATILITY_BUCKETS,
            registry,
        )
        self.predictions = Counter(
            "chainzrule_predictions_total",
            "Observed predictions by stability verdict.",
            (*MODEL, "verdict"),
            registry=registry,
        )
        self.out_of_range = Counter(
            "chainzrule_out_of_range_features_total",
            "Observed rows in which this feature lay outside the range seen in training (tables only).",
            (*MODEL, "feature"),
            registry=registry,
        )
        self.outside = Counter(
            "chainzrule_out_of_range_rows_total",
            "Observed rows in which any feature lay outside the range seen in training.",
            MODEL,
            registry=registry,
        )
        self.violations = Counter(
            "chainzrule_constraint_violations_total",
            "Rows explained by /sensitivity at which the model breaks this feature's declared monotone effect.",
            (*MODEL, "feature"),
            registry=registry,
        )
        self.nonfinite = Counter(
            "chainzrule_nonfinite_outputs_total",
            "Rows for which the model answered NaN or infinity; they are refused.",
            MODEL,
            registry=registry,
        )
        self.request_seconds = BatchHistogram(
            "chainzrule_request_duration_seconds",
            "Time from a request's arrival to its answer.",
            ("route", "method", "code"),
            SECONDS_BUCKETS,
            registry,
        )
        self.inference_seconds = BatchHistogram(
            "chainzrule_inference_duration_seconds",
            "Time of one batch: the graph's run and the stability measures.",
            MODEL,
            SECONDS_BUCKETS,
            registry,
        )
        self.batch_rows = BatchHistogram(
            "chainzrule_batch_rows", "Rows that one run answered.", MODEL, ROWS_BUCKETS, registry
        )
        self.in_progress = Gauge(
            "chainzrule_requests_in_progress", "Requests that are being answered.", registry=registry
        )
        self.ready = Gauge(
            "chainzrule_ready", "1 while traffic is welcome, as /readyz says with its status.", registry=registry
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
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

    def watch(
        self, versions: Callable[[], Iterable[VersionReading]], queues: Callable[[], Iterable[tuple[str, int]]]
    ) -> None:
        """Read live state at every scrape: the model versions, and the requests waiting by model."""
        self.registry.register(_LiveCollector(versions, queues))

    def version(self, model: str, version: str, flips: bool = True, relative: bool = True) -> "VersionMetrics":
        """The metrics of one model version, with its labels looked up once.

        Args:
            model: its model.
            version: its number.
            flips: whether it has labels, which noise could flip.
            relative: whether its card has a mean volatility to divide by.
        """
        return VersionMetrics(self, (model, version), flips, relative)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """The exposition in the format that the scraper accepts, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class VersionMetrics:
    """What is counted for one model version."""

    def __init__(self, metrics: Metrics, labels: tuple[str, str], flips: bool, relative: bool) -> None:
        self._metrics = metrics
        self._labels = labels
        self._volatility = metrics.volatility.labels(*labels)
        self._relative = metrics.relative_volatility.labels(*labels) if relative else None
        self._flip_probability = metrics.flip_probability.labels(*labels) if flips else None
        self._gradient_norm = metrics.gradient_norm.labels(*labels)
        self._predictions = {verdict: metrics.predictions.labels(*labels, verdict) for verdict in VERDICTS}
        self.nonfinite = metrics.nonfinite.labels(*labels)
        self._outside = metrics.outside.labels(*labels)
        self._inference_seconds = metrics.inference_seconds.labels(*labels)
        self._batch_rows = metrics.batch_rows.labels(*labels)
        self._removed = False

    def remove(self) -> None:
        """Take the version's series out of the exposition; what requests under way still count is lost."""
        self._removed = True
        metrics = self._metrics
        for histogram in (
            metrics.volatility,
            metrics.relative_volatility,
            metrics.flip_probability,
            metrics.gradient_norm,
            metrics.inference_seconds,
            metrics.batch_rows,
        ):
            histogram.remove(*self._labels)
        for counter in (
            metrics.predictions,
            metrics.out_of_range,
            metrics.outside,
            metrics.violations,
            metrics.nonfinite,
        ):
            counter.remove_by_labels(dict(zip(MODEL, self._labels, strict=True)))

    def count_batch(self, rows: int, seconds: float) -> None:
        """Count one run."""
        self._inference_seconds.add(seconds)
        self._batch_rows.add(rows)

    def count_rows(self, readings: RowReadings) -> None:
        """Count the observed rows of a batch."""
        self._volatility.observe(readings.volatility)
        self._gradient_norm.observe(readings.gradient_norm)
        if self._relative is not None and readings.relative is not None:
            self._relative.observe(readings.relative)
        if self._flip_probability is not None and readings.flip_probability is not None:
            self._flip_probability.observe(readings.flip_probability)
        for verdict, rows in readings.verdicts.items():
            if rows:
                self._predictions[verdict].inc(rows)
        self._count_outside(readings.outside, readings.out_of_range)

    def count_row(
        self,
        volatility: float,
        relative: float | None,
        flip_probability: float,
        gradient_norm: float,
        verdict: str,
        out_of_range: dict[str, int],
        outside: bool,
    ) -> None:
        """`count_rows` for one row."""
        self._volatility.add(volatility)
        self._gradient_norm.add(gradient_norm)
        if self._relative is not None and relative is not None:
            self._relative.add(relative)
        if self._flip_probability is not None:
            self._flip_probability.add(flip_probability)
        self._predictions[verdict].inc()
        self._count_outside(int(outside), out_of_range)

    def _count_outside(self, rows: int, features: dict[str, int]) -> None:
        if rows:
            self._outside.inc(rows)
        if self._removed:  # looking labels up would bring them back
            return
        for feature, count in features.items():
            self._metrics.out_of_range.labels(*self._labels, feature).inc(count)

    def count_violations(self, rows: dict[str, int]) -> None:
        """Count the explained rows that break each declared effect; a 0 shows that the effect is watched."""
        if self._removed:
            return
        for feature, count in rows.items():
            self._metrics.violations.labels(*self._labels, feature).inc(count)


class _LiveCollector(Collector):
    """Gauges that are read when scraped, so that a version that was unloaded leaves none behind."""

    def __init__(
        self, versions: Callable[[], Iterable[VersionReading]], queues: Callable[[], Iterable[tuple[str, int]]]
    ) -> None:
        self._versions = versions
        self._queues = queues

    def describe(self) -> Iterable[Metric]:
        gauges, info = self._families()
        return [*gauges.values(), info]

    def collect(self) -> Iterable[Metric]:
        gauges, info = self._families()
        for reading in self._versions():
            labels = (reading.model, reading.version)
            for state in STATES:
                gauges["state"].add_metric((*labels, state), float(state == reading.state))
            if reading.info is not None:
                info.add_metric(labels, reading.info)
            for name in ("loaded_timestamp", "window_samples", "gradient_tail_ratio", "volatility_reference_ratio"):
                value = getattr(reading, name)
                if value is not None:
                    gauges[name].add_metric(labels, float(value))
            if reading.reference is not None:
                self._add_reference(gauges, labels, reading.reference)
        for model, depth in self._queues():
            gauges["queue_depth"].add_metric((model,), float(depth))
        return [*gauges.values(), info]

    @staticmethod
    def _add_reference(
        gauges: dict[str, GaugeMetricFamily], labels: tuple[str, str], reference: ReferenceReading
    ) -> None:
        for percentile, volatility in reference.volatility.items():
            gauges["reference_volatility"].add_metric((*labels, percentile), volatility)
        for name in ("gradient_tail_ratio", "out_of_range_ratio", "unstable_ratio"):
            value = getattr(reference, name)
            if value is not None:
                gauges[f"reference_{name}"].add_metric(labels, value)

    @staticmethod
    def _families() -> tuple[dict[str, GaugeMetricFamily], InfoMetricFamily]:
        def gauge(name: str, documentation: str, labels: tuple[str, ...] = MODEL) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"chainzrule_{name}", documentation, labels=labels)

        gauges = {
            "gradient_tail_ratio": gauge(
                "gradient_tail_ratio",
                "99th percentile over mean of the input gradient norm in the rolling window; absent while it fills.",
            ),
            "volatility_reference_ratio": gauge(
                "prediction_volatility_reference_ratio",
                "Mean prediction volatility in the rolling window over the model card's; absent while it fills.",
            ),
            "window_samples": gauge("gradient_window_samples", "Rows in the rolling window."),
            "reference_volatility": gauge(
                "reference_prediction_volatility",
                "Percentiles of the prediction volatility over the model card's held-out rows.",
                (*MODEL, "percentile"),
            ),
            "reference_gradient_tail_ratio": gauge(
                "reference_gradient_tail_ratio",
                "99th percentile over mean of the input gradient norm, over the model card's held-out rows.",
            ),
            "reference_out_of_range_ratio": gauge(
                "reference_out_of_range_ratio",
                "Share of the model card's held-out rows in which any feature lay outside the range seen in training.",
            ),
            "reference_unstable_ratio": gauge(
                "reference_unstable_ratio",
                "Share of the model card's held-out rows that are unstable by this service's thresholds.",
            ),
            "queue_depth": gauge("queue_depth", "Requests that wait for a model.", ("model",)),
            "state": gauge("model_state", "1 for the state that a model version is in.", (*MODEL, "state")),
            "loaded_timestamp": gauge(
                "model_loaded_timestamp_seconds", "Unix time at which a model version became ready."
            ),
        }
        return gauges, InfoMetricFamily("chainzrule_model", "Facts about a loaded model version.", labels=MODEL)
