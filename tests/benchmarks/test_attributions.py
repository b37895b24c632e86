"""`benchmarks.attributions` reports what was measured; Captum itself is installed for the benchmark alone."""

import numpy as np

from benchmarks.attributions.__main__ import OURS, faster, measure
from benchmarks.attributions.report import table


def test_errors_are_over_the_range_and_ratios_those_of_the_rounds() -> None:
    change = np.array([1.0, 5.0])
    ways = {OURS: lambda: np.array([[0.5, 0.5], [2.0, 3.0]]), "other": lambda: np.array([[0.5, 0.0], [2.0, 3.0]])}
    found = measure(ways, change, rounds=3, calls=1)
    assert found[OURS]["error"] == 0.0
    assert found["other"]["error"] == 0.5 / 5.0
    assert len(found["other"]["seconds"]) == 3
    timed = {OURS: {"seconds": [1.0, 2.0, 4.0]}, "other": {"seconds": [2.0, 6.0, 40.0]}}
    assert faster(timed, "other") == 3.0
    ways_of = {"other": {"error": 1e-7, "milliseconds": 2.5, "over_ours": 3.0}}
    assert "| net | 4 | other | 1.0e-07 | 2.500 | 3.0x |" in table([{"network": "net", "rows": 4, "ways": ways_of}])
