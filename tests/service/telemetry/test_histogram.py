"""The batch histogram equals Prometheus' own, value by value."""

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from chainzrule.service.telemetry.histogram import BatchHistogram

BUCKETS = (0.1, 0.5, 1.0, 5.0)


@pytest.mark.parametrize("batch", [1, 3, 50])
def test_it_counts_as_the_client_librarys(batch: int) -> None:
    rng = np.random.default_rng(batch)
    values = np.concatenate([rng.gamma(1.0, 2.0, size=95), [0.0, 0.1, 0.5, 5.0, 1e9]])
    own, theirs = CollectorRegistry(), CollectorRegistry()
    mine = BatchHistogram("x", "about x", ("model", "version"), BUCKETS, own)
    library = Histogram("x", "about x", ("model", "version"), buckets=BUCKETS, registry=theirs)
    for start in range(0, 100, batch):
        part = values[start : start + batch]
        mine.labels("m", "1").observe(float(part[0]) if batch == 1 else part)
    for value in values:
        library.labels("m", "1").observe(value)
    expected = [
        line for line in generate_latest(theirs).decode().splitlines() if "_created" not in line and "_sum" not in line
    ]
    found = [line for line in generate_latest(own).decode().splitlines() if "_sum" not in line]
    assert found == expected
    bins, total = mine.labels("m", "1").read()
    assert bins[-1] == ("+Inf", 100.0)
    assert total == pytest.approx(values.sum())


def test_label_sets_are_apart() -> None:
    registry = CollectorRegistry()
    histogram = BatchHistogram("x", "about x", ("model", "version"), BUCKETS, registry)
    histogram.labels("a", "1").observe(np.array([1.0]))
    histogram.labels("a", "2")  # of which nothing is counted
    assert registry.get_sample_value("x_count", {"model": "a", "version": "1"}) == 1.0
    assert registry.get_sample_value("x_count", {"model": "a", "version": "2"}) is None


def test_a_removed_label_set_is_gone_and_starts_anew() -> None:
    registry = CollectorRegistry()
    histogram = BatchHistogram("x", "about x", ("model", "version"), BUCKETS, registry)
    held = histogram.labels("a", "1")
    held.observe(1.0)
    histogram.labels("b", "1").observe(2.0)
    histogram.remove_by_labels({"model": "a", "version": "1"})
    histogram.remove_by_labels({"model": "a", "version": "2"})  # was never there
    assert registry.get_sample_value("x_count", {"model": "b", "version": "1"}) == 1.0
    held.observe(1.0)
    assert registry.get_sample_value("x_count", {"model": "a", "version": "1"}) is None
    histogram.labels("a", "1").observe(1.0)
    assert registry.get_sample_value("x_count", {"model": "a", "version": "1"}) == 1.0


def test_a_name_can_be_taken_once() -> None:
    registry = CollectorRegistry()
    BatchHistogram("x", "about x", ("model", "version"), BUCKETS, registry)
    with pytest.raises(ValueError, match=r"[Dd]uplicated"):
        BatchHistogram("x", "about x", ("model", "version"), BUCKETS, registry)
