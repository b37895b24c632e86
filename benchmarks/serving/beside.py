"""`python -m benchmarks.serving.beside CHECKOUT`: this checkout's service beside another one's, workload by workload.

Both servers are pinned to the same core and loaded in turns, first one then the other, and the other way round in the
next round; medians of the rounds' ratios are reported, with the cold start and the idle memory taken in turns as well.
Loads go to 127.0.0.1 only, and are bounded in connections and time.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from tqdm import tqdm

from benchmarks.serving.__main__ import LOAD_CORE, SERVER_CORE, service
from benchmarks.serving.servers import Question, Running, Server, ask, running
from benchmarks.serving.workloads import ROOT, WORKLOADS, Workload
from benchmarks.serving.wrk import load

STARTS = 7


def server_of(checkout: Path, repository: Path) -> Server:
    """Returns the service of a checkout; in old checkouts the module `service` is the program.

    It serves the checkout's own copy of the repository, because services refuse cards with what they do not know yet.
    """
    program = ("chainzrule", "serve") if (checkout / "chainzrule").exists() else ("service",)
    return Server(checkout.name, service(checkout / repository.relative_to(ROOT), program), "ours", folder=checkout)


def workload_ratios(checkouts: tuple[Path, Path], workload: Workload, rounds: int, seconds: int) -> dict[str, Any]:
    """Returns the medians over rounds of the second checkout's rates, latencies and processor time over the first's."""
    servers = [server_of(checkout, workload.repository) for checkout in checkouts]
    with running(servers[0], SERVER_CORE) as first, running(servers[1], SERVER_CORE) as second:
        question = first.server.question(workload)
        assert question is not None
        equal = ask(first.address, question) == ask(second.address, question)
        pair = (first, second)
        for one in pair:
            _figures(one, question, workload, 1)
        found: list[tuple[dict[str, float], dict[str, float]]] = []
        for number in tqdm(range(rounds), desc=workload.name, unit="round"):
            order = pair if number % 2 == 0 else pair[::-1]
            seen = {one.address: _figures(one, question, workload, seconds) for one in order}
            found.append((seen[first.address], seen[second.address]))
    ratios = {name: [after[name] / before[name] for before, after in found] for name in ("rate", "p50", "p99", "cpu")}
    return {
        "title": workload.title,
        "answers_equal": equal,
        "ratios": {name: statistics.median(each) for name, each in ratios.items()},
        "spread": {name: [min(each), max(each)] for name, each in ratios.items()},
        "failed": sum(figures["failed"] for both in found for figures in both),
    }


def _figures(server: Running, question: Question, workload: Workload, seconds: int) -> dict[str, float]:
    before = server.cpu_seconds()
    url = server.address + question.path
    seen = load(url, question.body, question.headers, workload.connections, seconds, LOAD_CORE)
    cpu = (server.cpu_seconds() - before) / max(1.0, seen.rate * seconds)
    return {"rate": seen.rate, "p50": seen.p50, "p99": seen.p99, "cpu": cpu, "failed": seen.failed}


def start_ratios(checkouts: tuple[Path, Path], times: int) -> dict[str, float]:
    """Returns the second checkout's seconds to READY, their processor time and its idle memory over the first's."""
    found: dict[str, list[float]] = {"seconds": [], "cpu": [], "memory": []}
    for _ in tqdm(range(times), desc="starts", unit="start"):
        figures = [_start(server_of(checkout, ROOT / "models")) for checkout in checkouts]
        for name, values in found.items():
            values.append(figures[1][name] / figures[0][name])
    return {name: statistics.median(values) for name, values in found.items()}


def _start(server: Server) -> dict[str, float]:
    begin = time.monotonic()
    with running(server, SERVER_CORE) as started:
        while httpx.get(f"{started.address}/readyz").status_code != 200:
            time.sleep(0.01)
        seconds = time.monotonic() - begin
        cpu = started.cpu_seconds()
        time.sleep(0.5)
        return {"seconds": seconds, "cpu": cpu, "memory": float(started.memory())}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving.beside", description=__doc__.partition("\n\n")[2]
    )
    parser.add_argument("checkout", type=Path, help="the other checkout, which counts as 1")
    parser.add_argument("--rounds", type=int, default=7, help="rounds a workload (default 7)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds of load a server and round (default 3)")
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="workloads")
    parser.add_argument("--output", type=Path, help="a file for the figures, as JSON")
    arguments = parser.parse_args()
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            print(f"{tool} is missing; on Debian: apt-get install wrk util-linux", file=sys.stderr)
            return 2
    checkouts = (arguments.checkout.resolve(), ROOT)
    chosen = [workload for workload in WORKLOADS if workload.name in arguments.only]
    results = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, {os.getloadavg()[0]:.1f} processes "
        "running at the start",
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "workloads": {one.name: workload_ratios(checkouts, one, arguments.rounds, arguments.seconds) for one in chosen},
        "start": start_ratios(checkouts, STARTS),
    }
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(results, indent=1) + "\n")
    print(_table(results))
    return 0


def _table(results: dict[str, Any]) -> str:
    lines = ["| workload | rate | p50 | p99 | processor time | answers equal |", "|---|---|---|---|---|---|"]
    for found in results["workloads"].values():
        cells = []
        for name in ("rate", "p50", "p99", "cpu"):
            low, high = found["spread"][name]
            cells.append(f"{found['ratios'][name]:.3f} ({low:.2f} to {high:.2f})")
        lines.append(f"| {found['title']} | {' | '.join(cells)} | {'yes' if found['answers_equal'] else 'NO'} |")
    start = results["start"]
    lines.append(
        f"\ncold start {start['seconds']:.3f}, its processor time {start['cpu']:.3f}, idle memory {start['memory']:.3f}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
