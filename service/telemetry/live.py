"""Collects gauges whose values are read at every scrape, so that an unloaded version leaves none behind."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from chainzrule.service.artifact.evidence import Reference
from chainzrule.service.stability.answers import AnswerWatch
from chainzrule.service.stability.window import Window

MODEL = ("model", "version")


@dataclass(frozen=True)
class LoadedReading:
    """Holds the facts of a loaded model version at the moment of a scrape.

    Attributes:
        info: the labels of its info metric.
        loaded_timestamp: the Unix time at which it became ready.
        window: its latest observed rows.
        reference: the card's reference, with which the window is compared.
        unstable_ratio: the share of the held-out rows that are unstable by the service's thresholds; None if unknown.
        novel_ratio: the share of the held-out rows that are novel by the service's threshold; None where none can be.
        answers: counts its answers; None where the card does not say what it answered to held-out rows.
    """

    info: dict[str, str]
    loaded_timestamp: float
    window: Window
    reference: Reference
    unstable_ratio: float | None
    novel_ratio: float | None = None
    answers: AnswerWatch | None = None

    def frozen(self) -> "LoadedReading":
        """Returns the reading with copies of what the event loop writes to, which another thread may read."""
        answers = None if self.answers is None else self.answers.frozen()
        return replace(self, window=self.window.frozen(), answers=answers)


@dataclass(frozen=True)
class VersionReading:
    """Holds the state of a model version at the moment of a scrape; `loaded` is None where it is not in service."""

    model: str
    version: str
    state: str
    loaded: LoadedReading | None = None


@dataclass(frozen=True)
class LiveGauge:
    """Declares a gauge of loaded versions: its name, its help text, and how it is read; None leaves a version out."""

    name: str
    help: str
    read: Callable[[LoadedReading], float | None]


GAUGES = (
    LiveGauge(
        "gradient_tail_ratio",
        "99th percentile over mean of the input gradient norm in the rolling window; absent while it fills.",
        lambda loaded: loaded.window.gradient_tail_ratio(),
    ),
    LiveGauge(
        "prediction_volatility_reference_ratio",
        "Mean prediction volatility in the rolling window over the model card's; absent while it fills.",
        lambda loaded: loaded.window.volatility_reference_ratio(),
    ),
    LiveGauge("gradient_window_samples", "Rows in the rolling window.", lambda loaded: loaded.window.samples),
    LiveGauge(
        "reference_gradient_tail_ratio",
        "99th percentile over mean of the input gradient norm, over the model card's held-out rows.",
        lambda loaded: loaded.reference.gradient_tail_ratio,
    ),
    LiveGauge(
        "reference_out_of_range_ratio",
        "Share of the model card's held-out rows in which any feature lay outside the range seen in training.",
        lambda loaded: loaded.reference.out_of_range_rate,
    ),
    LiveGauge(
        "reference_novel_ratio",
        "Share of the model card's held-out rows that are novel by this service's threshold.",
        lambda loaded: loaded.novel_ratio,
    ),
    LiveGauge(
        "reference_unstable_ratio",
        "Share of the model card's held-out rows that are unstable by this service's thresholds.",
        lambda loaded: loaded.unstable_ratio,
    ),
    LiveGauge(
        "model_loaded_timestamp_seconds",
        "Unix time at which a model version became ready.",
        lambda loaded: loaded.loaded_timestamp,
    ),
)
PERCENTILES = (50, 90, 99)


class LiveCollector(Collector):
    """Reads model versions and queues at every scrape."""

    def __init__(
        self,
        states: Sequence[str],
        versions: Callable[[], Iterable[VersionReading]],
        queues: Callable[[], Iterable[tuple[str, int]]],
    ) -> None:
        self._states = states
        self._versions = versions
        self._queues = queues

    def describe(self) -> Iterable[Metric]:
        """Returns the empty families, from which the registry learns their names."""
        return self._collect([], [])

    def collect(self) -> Iterable[Metric]:
        """Returns the families with their current values."""
        return self._collect(list(self._versions()), self._queues())

    def frozen(self) -> "LiveCollector":
        """Returns a collector of the current values, which another thread may read."""
        versions = [
            version if version.loaded is None else replace(version, loaded=version.loaded.frozen())
            for version in self._versions()
        ]
        queues = list(self._queues())
        return LiveCollector(self._states, lambda: versions, lambda: queues)

    def _collect(self, versions: Sequence[VersionReading], queues: Iterable[tuple[str, int]]) -> list[Metric]:
        families: list[Metric] = []
        loaded = [((reading.model, reading.version), reading.loaded) for reading in versions if reading.loaded]
        for gauge in GAUGES:
            family = _gauge(gauge.name, gauge.help)
            for labels, reading in loaded:
                value = gauge.read(reading)
                if value is not None:
                    family.add_metric(labels, float(value))
            families.append(family)
        percentiles = _gauge(
            "reference_prediction_volatility",
            "Percentiles of the prediction volatility over the model card's held-out rows.",
            (*MODEL, "percentile"),
        )
        info = InfoMetricFamily("chainzrule_model", "Facts about a loaded model version.", labels=MODEL)
        for labels, reading in loaded:
            info.add_metric(labels, reading.info)
            for percent in PERCENTILES:
                percentiles.add_metric((*labels, str(percent)), reading.reference.volatility.quantiles[percent])
        state = _gauge("model_state", "1 for the state that a model version is in.", (*MODEL, "state"))
        for version in versions:
            for name in self._states:
                state.add_metric((version.model, version.version, name), float(name == version.state))
        depth = _gauge("queue_depth", "Requests that wait for a model.", ("model",))
        for model, requests in queues:
            depth.add_metric((model,), float(requests))
        return [*families, percentiles, info, state, depth, *_answers(loaded)]


def _answers(loaded: Sequence[tuple[tuple[str, str], LoadedReading]]) -> list[Metric]:
    """Returns what the versions answered, beside what they answered to the card's held-out rows."""
    rows = CounterMetricFamily(
        "chainzrule_answers", "Observed rows by what was answered.", labels=(*MODEL, "kind", "bin")
    )
    shares = _gauge(
        "reference_answers_ratio", "Share of the model card's held-out rows in each bin.", (*MODEL, "kind", "bin")
    )
    drift = _gauge(
        "answers_drift",
        "How unlike the held-out rows' the latest 1,000 answers are; above 3 about once in 10^6 usual rows.",
        (*MODEL, "kind"),
    )
    for labels, reading in loaded:
        for bins in () if reading.answers is None else reading.answers.bins:
            total = float(bins.known.sum())
            for name, count, known in zip(bins.names, bins.rows, bins.known.tolist(), strict=True):
                rows.add_metric((*labels, bins.kind, name), float(count))
                shares.add_metric((*labels, bins.kind, name), known / total)
            if bins.drift is not None:
                drift.add_metric((*labels, bins.kind), bins.drift)
    return [rows, shares, drift]


def _gauge(name: str, help_text: str, labels: tuple[str, ...] = MODEL) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"chainzrule_{name}", help_text, labels=labels)
