"""Gauges that are read at a scrape: what they say of each version, and that nothing of the last scrape is kept."""

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from chainzrule.service.stability.window import Window
from chainzrule.service.telemetry.live import GAUGES, PERCENTILES, LiveCollector, LoadedReading, VersionReading
from tests.artifacts import CLASSIFIER

REFERENCE = CLASSIFIER.card().reference
STATES = ("LOADING", "READY", "FAILED")


class Scraped:
    """A registry of the one collector, whose versions and queues can be changed."""

    def __init__(self) -> None:
        self.versions: list[VersionReading] = []
        self.queues: list[tuple[str, int]] = []
        self.registry = CollectorRegistry()
        self.registry.register(LiveCollector(STATES, lambda: iter(self.versions), lambda: iter(self.queues)))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"chainzrule_{name}", {"model": "toy", "version": "1", **labels})

    @property
    def text(self) -> str:
        return generate_latest(self.registry).decode()


def loaded(rows: int = 0, unstable: float | None = 0.25, novel: float | None = 0.015) -> LoadedReading:
    """A version whose window takes four rows before it says anything; its rows' volatility is 1, 2, 3, ..."""
    window = Window(100, 4, REFERENCE)
    if rows:
        numbers = np.arange(1.0, rows + 1)
        window.add(
            numbers, 10.0 * numbers, np.zeros(rows, np.int64), np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
        )
    info = {"task": "classification", "sha256": "abc"}
    return LoadedReading(info, 1700000000.5, window, REFERENCE, unstable, novel_ratio=novel)


def test_a_loaded_versions_gauges_are_its_windows_and_its_references() -> None:
    scraped = Scraped()
    scraped.versions = [VersionReading("toy", "1", "READY", loaded(4))]
    assert scraped.value("gradient_window_samples") == 4
    norms = 10.0 * np.arange(1.0, 5.0)
    assert scraped.value("gradient_tail_ratio") == pytest.approx(np.quantile(norms, 0.99) / norms.mean())
    assert scraped.value("prediction_volatility_reference_ratio") == pytest.approx(2.5 / REFERENCE.volatility.mean)
    assert scraped.value("reference_gradient_tail_ratio") == REFERENCE.gradient_tail_ratio
    assert scraped.value("reference_out_of_range_ratio") == REFERENCE.out_of_range_rate
    assert scraped.value("reference_unstable_ratio") == 0.25
    assert scraped.value("reference_novel_ratio") == 0.015
    assert scraped.value("model_loaded_timestamp_seconds") == 1700000000.5
    assert scraped.value("model_info", task="classification", sha256="abc") == 1
    for percent in PERCENTILES:
        expected = REFERENCE.volatility.quantiles[percent]
        assert scraped.value("reference_prediction_volatility", percentile=str(percent)) == expected


def test_what_is_not_known_is_absent_and_not_zero() -> None:
    scraped = Scraped()
    scraped.versions = [VersionReading("toy", "1", "READY", loaded(3, unstable=None, novel=None))]
    for name in (
        "gradient_tail_ratio",
        "prediction_volatility_reference_ratio",
        "reference_unstable_ratio",
        "reference_novel_ratio",
    ):
        assert scraped.value(name) is None, name
    assert scraped.value("gradient_window_samples") == 3


def test_a_version_that_nothing_answers_for_has_its_state_alone() -> None:
    scraped = Scraped()
    scraped.versions = [VersionReading("toy", "1", "FAILED")]
    assert {state: scraped.value("model_state", state=state) for state in STATES} == {
        "LOADING": 0.0,
        "READY": 0.0,
        "FAILED": 1.0,
    }
    series = [line for line in scraped.text.splitlines() if 'model="toy"' in line]
    assert len(series) == len(STATES)


def test_queues_are_counted_by_model() -> None:
    scraped = Scraped()
    scraped.queues = [("toy", 3), ("other", 0)]
    for model, depth in scraped.queues:
        assert scraped.registry.get_sample_value("chainzrule_queue_depth", {"model": model}) == depth


def test_what_went_leaves_nothing_behind_and_names_stay_known() -> None:
    scraped = Scraped()
    scraped.versions, scraped.queues = [VersionReading("toy", "1", "READY", loaded(4))], [("toy", 1)]
    assert 'model="toy"' in scraped.text
    scraped.versions, scraped.queues = [], []
    assert 'model="toy"' not in scraped.text
    for name in (*(gauge.name for gauge in GAUGES), "model_state", "queue_depth", "reference_prediction_volatility"):
        assert f"# HELP chainzrule_{name} " in scraped.text
    with pytest.raises(ValueError, match="Duplicated"):
        scraped.registry.register(LiveCollector(STATES, list, list))
