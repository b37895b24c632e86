"""Sums what one model version has done so far, for the open inference protocol's statistics extension."""

import time
from typing import Any


class Statistics:
    """Holds the sums of one model version. It is changed on the event loop alone."""

    __slots__ = (
        "_batches",
        "compute_ns",
        "executions",
        "failure_ns",
        "failures",
        "last",
        "rows",
        "success_ns",
        "successes",
    )

    def __init__(self) -> None:
        self.rows = self.successes = self.failures = self.executions = 0
        self.success_ns = self.failure_ns = self.compute_ns = 0
        self.last = 0.0
        self._batches: dict[int, list[int]] = {}  # by the rows of a run: the runs and their nanoseconds

    def ran(self, rows: int, seconds: float) -> None:
        """Counts one run."""
        self.executions += 1
        self.last = time.time()
        batch = self._batches.get(rows)
        if batch is None:
            batch = self._batches[rows] = [0, 0]
        batch[0] += 1
        batch[1] += int(seconds * 1e9)

    def succeeded(self, rows: int, seconds: float, run_seconds: float) -> None:
        """Counts a request that was answered after `seconds`, of which its run took `run_seconds`."""
        self.successes += 1
        self.rows += rows
        self.success_ns += int(seconds * 1e9)
        self.compute_ns += int(run_seconds * 1e9)

    def failed(self, seconds: float) -> None:
        """Counts a request that failed: its time ran out, its client gave up, or the output was not finite."""
        self.failures += 1
        self.failure_ns += int(seconds * 1e9)

    def describe(self) -> dict[str, Any]:
        """Returns the sums as the extension gives them. What is not measured (copies, caches) is zero."""
        nothing = {"count": 0, "ns": 0}
        waited = max(0, self.success_ns - self.compute_ns)
        return {
            "last_inference": int(self.last * 1000.0),
            "inference_count": self.rows,
            "execution_count": self.executions,
            "inference_stats": {
                "success": {"count": self.successes, "ns": self.success_ns},
                "fail": {"count": self.failures, "ns": self.failure_ns},
                "queue": {"count": self.successes, "ns": waited},
                "compute_input": nothing,
                "compute_infer": {"count": self.successes, "ns": self.compute_ns},
                "compute_output": nothing,
                "cache_hit": nothing,
                "cache_miss": nothing,
            },
            "batch_stats": [
                {
                    "batch_size": size,
                    "compute_input": nothing,
                    "compute_infer": {"count": runs, "ns": nanoseconds},
                    "compute_output": nothing,
                }
                for size, (runs, nanoseconds) in sorted(self._batches.items())
            ],
            "memory_usage": [],
        }
