"""`python -m benchmarks.serving`: serve the same models in several ways, load them side by side, and compare.

Server and load are pinned to different cores. All servers of a model are started, asked a checked question and warmed
up; then they are loaded in turns, round by round, so that a slow minute of the machine hurts all alike. The medians
over the rounds are compared as ratios. Processor time is counted too: it changes less than rates do when others use the
machine. Loads go to 127.0.0.1 only, and are bounded in connections and time.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from tqdm import tqdm

from benchmarks.serving.graphs import opened, runs_a_second, without_covariance
from benchmarks.serving.report import plot, table
from benchmarks.serving.servers import Probabilities, Question, Running, Server, ask, peers, running
from benchmarks.serving.workloads import ROOT, WORKLOADS, Workload
from benchmarks.serving.wrk import load

SERVER_CORE, LOAD_CORE = "0", "1"
STARTS = 5


@dataclass(frozen=True)
class Seen:
    """Holds what one turn of load measured of one server; times in seconds."""

    rate: float
    p50: float
    p99: float
    failed: int
    cpu: float


def service(repository: Path, program: tuple[str, ...] = ("chainzrule", "serve")) -> tuple[str, ...]:
    """Returns the command of this service, or of another program that takes its flags."""
    flags = ("--port", "{port}", "--threads", "1", "--log-level", "error", "--reload-seconds", "0")
    return ("python", "-m", *program, "--models", str(repository), *flags)


def servers(workload: Workload, answer: Path, plain: Path) -> list[Server]:
    """Returns the ways of serving one workload's model.

    Args:
        workload: whose model.
        answer: a file with the service's answer, which the echo sends.
        plain: the graph without covariance.
    """
    uvicorn = ("--port", "{port}", "--log-level", "error", "--no-access-log")
    return [
        Server("chainzrule", service(workload.repository), "ours"),
        Server(
            "echo",
            ("python", "-m", "uvicorn", "benchmarks.serving.echo:app", *uvicorn),
            "echo",
            (("ECHO_ANSWER", str(answer)),),
        ),
        Server("without diagnostics", service(workload.repository, ("benchmarks.serving.undiagnosed",)), "undiagnosed"),
        Server(
            "usual FastAPI",
            ("python", "-m", "uvicorn", "benchmarks.serving.usual:app", *uvicorn),
            "instances",
            (("USUAL_MODEL", str(plain)),),
        ),
        *peers(plain),
    ]


def measure(workloads: list[Workload], rounds: int, seconds: int) -> dict[str, Any]:
    """Runs all rounds; returns rates, latencies, processor time and failures by workload and server."""
    results: dict[str, Any] = {}
    turns = tqdm(total=len(workloads) * rounds, unit="round")
    with tempfile.TemporaryDirectory() as name, turns:
        folder = Path(name)
        # Workloads of a model share its servers, except for the echo, whose answer differs.
        for _, group in groupby(sorted(workloads, key=_model), key=_model):
            alike = list(group)
            plain = folder / f"{alike[0].model}.onnx"
            plain.write_bytes(without_covariance(alike[0].folder / "model.onnx"))
            with contextlib.ExitStack() as stack:
                started: dict[str, Running] = {}
                for workload in alike:
                    results[workload.name] = _rounds(workload, started, stack, plain, rounds, seconds, turns)
    return results


def _model(workload: Workload) -> str:
    return workload.model


def _rounds(
    workload: Workload,
    started: dict[str, Running],
    stack: contextlib.ExitStack,
    plain: Path,
    rounds: int,
    seconds: int,
    turns: "tqdm[Any]",
) -> dict[str, Any]:
    matrix = np.ascontiguousarray(workload.matrix())
    graphs = {"with covariance": opened((workload.folder / "model.onnx").read_bytes())}
    graphs["without"] = opened(plain.read_bytes())
    expected = graphs["without"].run(matrix)["probabilities"].astype(np.float64)
    answer = plain.with_suffix(f".{workload.name}")
    questions: dict[str, Question] = {}
    for server in servers(workload, answer, plain):
        question = server.question(workload)
        if question is None:
            continue
        if server.name == "echo" or server.name not in started:
            try:
                started[server.name] = stack.enter_context(running(server, SERVER_CORE))
            except (RuntimeError, TimeoutError) as error:
                turns.write(f"{server.name} is left out: {error}")
                continue
        if server.name in started:
            content = _checked(started[server.name], workload, question, expected)
            if server.name == "chainzrule":
                answer.write_bytes(content)
            questions[server.name] = question
            _load(started[server.name], question, workload, 1)
    seen: dict[str, list[Seen]] = {name: [] for name in questions}
    bare: dict[str, list[float]] = {name: [] for name in graphs}
    for _ in range(rounds):
        for name, question in questions.items():
            seen[name].append(_load(started[name], question, workload, seconds))
        for name, graph in graphs.items():
            bare[name].append(runs_a_second(graph, matrix, 0.5))
        turns.update()
    return {
        "title": workload.title,
        "graph": {name: statistics.median(rates) for name, rates in bare.items()},
        "servers": {name: _summary(found) for name, found in seen.items()},
        "rounds": {name: [asdict(one) for one in found] for name, found in seen.items()},
    }


def _checked(server: Running, workload: Workload, question: Question, expected: Probabilities) -> bytes:
    content = ask(server.address, question)
    server.server.check(workload, content, expected)
    return content


def _load(server: Running, question: Question, workload: Workload, seconds: int) -> Seen:
    before = server.cpu_seconds()
    url = server.address + question.path
    found = load(url, question.body, question.headers, workload.connections, seconds, LOAD_CORE)
    cpu = (server.cpu_seconds() - before) / max(1.0, found.rate * seconds)
    return Seen(found.rate, found.p50, found.p99, found.failed, cpu)


def _summary(found: list[Seen]) -> dict[str, float]:
    median = {name: statistics.median(asdict(one)[name] for one in found) for name in ("rate", "p50", "p99", "cpu")}
    return {**median, "failed": sum(one.failed for one in found)}


def starts(times: int) -> dict[str, float]:
    """Returns the seconds from the start of the process to READY with the shipped models, and the idle memory in MB."""
    server = Server("chainzrule", service(ROOT / "models"), "ours")
    seconds, cpu, memory = [], [], []
    for _ in range(times):
        begin = time.monotonic()
        with running(server, SERVER_CORE) as started:
            while httpx.get(f"{started.address}/readyz").status_code != 200:
                time.sleep(0.01)
            seconds.append(time.monotonic() - begin)
            cpu.append(started.cpu_seconds())
            time.sleep(0.5)
            memory.append(started.memory() / 1e6)
    return {"seconds": statistics.median(seconds), "cpu": statistics.median(cpu), "memory": statistics.median(memory)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--rounds", type=int, default=3, help="rounds a workload; medians are reported (default 3)")
    parser.add_argument("--seconds", type=int, default=4, help="seconds of load a server and round (default 4)")
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--only", nargs="+", choices=names, help="measure these anew; the others' results are kept")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/serving/results"), help="folder for JSON and plot"
    )
    arguments = parser.parse_args()
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            print(f"{tool} is missing; on Debian: apt-get install wrk util-linux", file=sys.stderr)
            return 2
    file = arguments.output / "serving.json"
    before = json.loads(file.read_text()) if arguments.only and file.exists() else {}
    kept = before.get("workloads", {})
    found = measure(
        [workload for workload in WORKLOADS if not arguments.only or workload.name in arguments.only],
        arguments.rounds,
        arguments.seconds,
    )
    results = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, server on one core, wrk on another, "
        f"{os.getloadavg()[0]:.1f} processes running at the end",
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "start": before.get("start") or starts(STARTS),
        "workloads": {name: (kept | found)[name] for name in names if name in kept | found},
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=1) + "\n")
    (arguments.output / "serving.md").write_text(table(results) + "\n")
    plot(results, arguments.output / "serving.png")
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
