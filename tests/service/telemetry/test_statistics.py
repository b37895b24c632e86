"""The sums of one model version, in the shape of the statistics extension."""

import time

from chainzrule.service.telemetry.statistics import Statistics


def test_nothing_has_happened_yet() -> None:
    found = Statistics().describe()
    assert (found["last_inference"], found["inference_count"], found["execution_count"]) == (0, 0, 0)
    assert found["batch_stats"] == found["memory_usage"] == []
    assert all(part == {"count": 0, "ns": 0} for part in found["inference_stats"].values())


def test_runs_are_counted_by_their_rows() -> None:
    statistics = Statistics()
    before = time.time()
    for rows, seconds in ((4, 0.5), (1, 0.25), (4, 1.5)):
        statistics.ran(rows, seconds)
    found = statistics.describe()
    assert found["execution_count"] == 3
    assert found["inference_count"] == 0  # rows count once they are answered
    assert before * 1000 - 1 <= found["last_inference"] <= time.time() * 1000
    sizes = [(part["batch_size"], part["compute_infer"]) for part in found["batch_stats"]]
    assert sizes == [(1, {"count": 1, "ns": 250_000_000}), (4, {"count": 2, "ns": 2_000_000_000})]
    assert all(
        part[name] == {"count": 0, "ns": 0}
        for part in found["batch_stats"]
        for name in ("compute_input", "compute_output")
    )


def test_answers_and_failures_are_counted_with_their_times() -> None:
    statistics = Statistics()
    statistics.succeeded(3, seconds=0.5, run_seconds=0.25)
    statistics.succeeded(2, seconds=1.0, run_seconds=0.25)
    statistics.failed(2.0)
    found = statistics.describe()
    assert found["inference_count"] == 5
    assert found["inference_stats"] == {
        "success": {"count": 2, "ns": 1_500_000_000},
        "fail": {"count": 1, "ns": 2_000_000_000},
        "queue": {"count": 2, "ns": 1_000_000_000},
        "compute_infer": {"count": 2, "ns": 500_000_000},
        **{name: {"count": 0, "ns": 0} for name in ("compute_input", "compute_output", "cache_hit", "cache_miss")},
    }


def test_nobody_waits_less_than_no_time() -> None:
    """A run that many shared may have taken longer than some of them waited in all."""
    statistics = Statistics()
    statistics.succeeded(1, seconds=0.25, run_seconds=0.5)
    assert statistics.describe()["inference_stats"]["queue"] == {"count": 1, "ns": 0}
