"""A snapshot stays as it was, whatever is counted while it is written out."""

from prometheus_client import Counter

from chainzrule.service.telemetry.histogram import BatchHistogram
from chainzrule.service.telemetry.metrics import Metrics, ReadGauge
from chainzrule.service.telemetry.snapshot import Registry


def test_what_only_the_loop_may_read_is_read_at_once() -> None:
    registry = Registry()
    histogram = BatchHistogram("h", "about h", ("model",), (1.0, 2.0), registry)
    histogram.labels("a").observe(1.5)
    waiting = [3.0]
    ReadGauge("g", "about g", registry=registry).set_function(lambda: waiting[0])
    snapshot = registry.snapshot()
    histogram.labels("a").observe(1.5)
    histogram.labels("b").observe(1.5)
    waiting[0] = 4.0
    text = snapshot.text("")[0].decode()
    assert 'h_bucket{le="+Inf",model="a"} 1.0' in text
    assert 'h_sum{model="a"} 1.5' in text
    assert 'model="b"' not in text
    assert "g 3.0" in text
    assert 'h_count{model="a"} 2.0' in registry.snapshot().text("")[0].decode()


def test_the_librarys_own_are_read_while_it_is_written() -> None:
    registry = Registry()
    counter = Counter("c", "about c", registry=registry)
    snapshot = registry.snapshot()
    counter.inc()
    assert b"c_total 1.0" in snapshot.text("")[0]


def test_it_holds_all_metrics() -> None:
    registry = Metrics().registry
    names = {family.name for family in registry.collect()}
    assert {family.name for family in registry.snapshot().collect()} == names
