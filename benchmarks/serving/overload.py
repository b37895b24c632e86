"""`python -m benchmarks.serving.overload`: more load than can be served, and a slow model beside a fast one.

Two questions, on a shipped model and a copy of it that is made slow (20 ms for a batch of 32 rows, or of 8):

* At four times the load that saturates it, how much does the slow model still answer, how soon are the others told no
  (429), and how much memory does that take? The fast model refuses nobody: it is asked by four times as many clients.
* Under 64 connections, how many rows a second does the slow model answer, beside the best fixed batch in process, and
  what becomes of the fast model's p99 at a modest rate?

Server and load share two cores, because the slow model's worker computes while the event loop answers. With batches of
32 rows four times the load is more than both cores have room for; with batches of 8 the load leaves them some.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving.__main__ import service
from benchmarks.serving.graphs import opened, runs_a_second
from benchmarks.serving.openloop import Flow, flow
from benchmarks.serving.servers import Running, Server, ask, running
from benchmarks.serving.slow import NAME, publish_slow
from benchmarks.serving.workloads import ROOT, WORKLOADS, Workload, aspirates
from benchmarks.serving.wrk import load

ROWS, SECONDS_A_RUN = (32, 8), 0.020
CONNECTIONS = 64
QUEUE = 128  # rows; the fast model has at most as many clients
BATCHES = (1, 8, 16, 32)
FAST_RATE = 100.0  # requests a second, for its latency


def overload(seconds: int, rows: int, run_seconds: float) -> dict[str, Any]:
    """Measures everything that the module describes."""
    fast = next(workload for workload in WORKLOADS if workload.name == "W1")
    slow = Workload(NAME, NAME, 1, CONNECTIONS)
    matrix = np.ascontiguousarray(np.resize(aspirates(), (rows, aspirates().shape[1])))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / fast.model).symlink_to(ROOT / "models" / fast.model)
        found["run_seconds"] = publish_slow(fast.folder, root, rows, run_seconds, matrix)
        bounds = ("--max-batch-rows", str(rows), "--max-queue-rows", str(QUEUE), "--request-timeout", "60")
        server = Server("chainzrule", (*service(root), *bounds), "ours")
        question, fast_question = server.question(_as_w1(slow, fast)), server.question(fast)
        assert question is not None
        assert fast_question is not None
        with running(server, "0,1") as started:
            ask(started.address, fast_question)
            ask(started.address, question)
            load(started.address + "/predict", question.body, question.headers, CONNECTIONS, 1, "0,1")

            alone = flow(started.address, fast_question, FAST_RATE, seconds, 16)
            beside = _beside(started, question, fast_question, seconds)
            graph = opened((root / NAME / "1" / "model.onnx").read_bytes())
            fixed = {batch: batch * runs_a_second(graph, matrix[:batch], 1.0) for batch in BATCHES if batch <= rows}
            found["slow"] = {
                "rows_a_second": beside["rows_a_second"],
                "fixed_batches": fixed,
                "share_of_best": beside["rows_a_second"] / max(fixed.values()),
                "fast_p99_alone": alone.percentile(200, 99),
                "fast_p99_beside": beside["fast"].percentile(200, 99),
                "fast_p50_alone": alone.percentile(200, 50),
                "fast_p50_beside": beside["fast"].percentile(200, 50),
            }

            peak = load(started.address + "/predict", question.body, question.headers, CONNECTIONS, seconds, "0,1").rate
            before = started.memory()
            four = flow(started.address, question, 4 * peak, seconds, 16 * CONNECTIONS)
            found["overload"] = {"peak": peak, **_describe(four), "memory_before_mb": before / 1e6}
            found["overload"]["memory_after_mb"] = started.memory() / 1e6
            found["overload"]["goodput_share"] = four.goodput / peak

            url, body, headers = started.address + fast_question.path, fast_question.body, fast_question.headers
            once = load(url, body, headers, fast.connections, seconds, "0,1")
            many = load(url, body, headers, 4 * fast.connections, seconds, "0,1")
            found["fast"] = {"rate": once.rate, "rate_at_four_times": many.rate, "share": many.rate / once.rate}
            found["fast"]["failed"] = many.failed
    return found


def _as_w1(slow: Workload, fast: Workload) -> Workload:
    """Returns the fast model's workload, asked of the slow model."""

    class Asked(Workload):
        def instances(self) -> str:
            return fast.instances()

    return Asked(slow.name, slow.model, slow.rows, slow.connections)


def _beside(started: Running, question: Any, fast_question: Any, seconds: int) -> dict[str, Any]:
    """Returns the fast model's latencies while 64 connections ask the slow one."""
    answered: list[float] = []

    def work() -> None:
        url = started.address + question.path
        answered.append(load(url, question.body, question.headers, CONNECTIONS, seconds + 1, "0,1").rate)

    loading = threading.Thread(target=work)
    loading.start()
    fast = flow(started.address, fast_question, FAST_RATE, seconds, 16)
    loading.join()
    return {"rows_a_second": answered[0], "fast": fast}


def _describe(seen: Flow) -> dict[str, Any]:
    refused = seen.waits.get(429, [])
    return {
        "offered": seen.offered,
        "seconds": seen.seconds,
        "skipped": seen.skipped,
        "statuses": dict(seen.statuses),
        "goodput": seen.goodput,
        "refused_p50": seen.percentile(429, 50),
        "refused_p99": seen.percentile(429, 99),
        "refused_within_50_ms": sum(wait <= 0.05 for wait in refused) / max(1, len(refused)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.overload", description=__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="seconds of each load (default 8)")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="rows of the slow model's batches")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/serving/results"), help="folder for the JSON")
    arguments = parser.parse_args()
    found: dict[str, Any] = {
        f"{rows} rows": overload(arguments.seconds, rows, SECONDS_A_RUN) for rows in arguments.rows
    }
    found["running_processes"] = os.getloadavg()[0]
    text = json.dumps(found, indent=1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "overload.json").write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
