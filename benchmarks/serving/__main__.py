"""`python -m benchmarks.serving`: serve the shipped models in several ways, load them side by side, and compare.

Server and load are pinned to different cores. In every round each server is started afresh, asked a checked question,
warmed up, and loaded; rounds are interleaved, so that a slow minute of the machine hurts all alike. The medians over
the rounds are compared as ratios. Loads go to 127.0.0.1 only, and are bounded in connections and time.
"""

import argparse
import json
import platform
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.serving.report import plot, table
from benchmarks.serving.servers import Server, ask, model_folder, running
from benchmarks.serving.workloads import WORKLOADS, Workload
from benchmarks.serving.wrk import load

SERVER_CORE, LOAD_CORE = 0, 1


def servers(workload: Workload, answer: Path) -> list[Server]:
    """The ways of serving one workload's model."""
    ours = ("-m", "service", "--port", "{port}", "--threads", "1", "--log-level", "error", "--reload-seconds", "0")
    uvicorn = ("--port", "{port}", "--log-level", "error", "--no-access-log")
    model = str(model_folder(workload.model) / "model.onnx")
    return [
        Server(
            "echo", ("-m", "uvicorn", "benchmarks.serving.echo:app", *uvicorn), "echo", (("ECHO_ANSWER", str(answer)),)
        ),
        Server("chainzrule", ours, "ours"),
        Server(
            "without diagnostics",
            ("-m", "benchmarks.serving.undiagnosed", *ours[2:]),
            "undiagnosed",
        ),
        Server(
            "usual FastAPI",
            ("-m", "uvicorn", "benchmarks.serving.usual:app", *uvicorn),
            "plain",
            (("USUAL_MODEL", model),),
        ),
    ]


def expected_labels(workload: Workload) -> list[str]:
    """The labels by the service's own model, in process."""
    model = _model(workload)
    labels = model.predict(_inputs(workload)).diagnosis.label.tolist()
    return [model.card.labels[label] for label in labels]


def in_process(workload: Workload, seconds: float) -> float:
    """Runs a second of the bare graph, in this process with one thread."""
    model, matrix = _model(workload), workload.matrix()
    deadline = time.perf_counter() + seconds
    runs = 0
    begin = time.perf_counter()
    while time.perf_counter() < deadline:
        model.graphs["model"].run(matrix)
        runs += 1
    return runs / (time.perf_counter() - begin)


def measure(workloads: list[Workload], rounds: int, seconds: int) -> dict[str, Any]:
    """All rounds; returns rates, latencies and failures by workload and server."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, tqdm(total=len(workloads) * rounds, unit="round") as bar:
        folder = Path(name)
        for workload in workloads:
            expected = expected_labels(workload)
            answer = folder / f"{workload.name}.answer"
            seen: dict[str, list[Any]] = {}
            for _ in range(rounds):
                for server in _ordered(servers(workload, answer)):
                    question = server.question(workload)
                    if question is None:
                        continue
                    with running(server, SERVER_CORE) as address:
                        content = ask(address, question)
                        server.check(workload, content, expected)
                        if server.name == "chainzrule":
                            answer.write_bytes(content)
                        url = address + question.path
                        load(url, question.body, question.headers, workload.connections, 1, LOAD_CORE)
                        seen.setdefault(server.name, []).append(
                            load(url, question.body, question.headers, workload.connections, seconds, LOAD_CORE)
                        )
                bar.update()
            results[workload.name] = {
                "title": workload.title,
                "in_process": in_process(workload, seconds / 2),
                "servers": {server: _summary(loads) for server, loads in seen.items()},
            }
    return results


def _ordered(found: list[Server]) -> list[Server]:
    # The echo answers what the service answered, so the service goes first.
    return sorted(found, key=lambda server: server.name != "chainzrule")


def _summary(loads: list[Any]) -> dict[str, float]:
    return {
        "rate": statistics.median(load.rate for load in loads),
        "p50": statistics.median(load.p50 for load in loads),
        "p99": statistics.median(load.p99 for load in loads),
        "failed": sum(load.failed for load in loads),
    }


def _model(workload: Workload) -> Any:
    from service.artifact.store import read_artifact
    from service.runtime.graph import Execution
    from service.runtime.model import Model

    return Model(read_artifact(model_folder(workload.model)), Execution("cpu", threads=1))


def _inputs(workload: Workload) -> Any:
    from service.served import inputs_of

    return inputs_of(np.ascontiguousarray(workload.matrix()), 1.0, observe=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--rounds", type=int, default=3, help="rounds a workload; medians are reported (default 3)")
    parser.add_argument("--seconds", type=int, default=4, help="seconds of load a server and round (default 4)")
    parser.add_argument("--only", nargs="+", choices=[w.name for w in WORKLOADS], help="these workloads only")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/serving/results"), help="folder for JSON and plot"
    )
    arguments = parser.parse_args()
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            print(f"{tool} is missing; on Debian: apt-get install wrk util-linux", file=sys.stderr)
            return 2
    workloads = [workload for workload in WORKLOADS if not arguments.only or workload.name in arguments.only]
    results = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, server on one core, wrk on another",
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "workloads": measure(workloads, arguments.rounds, arguments.seconds),
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "serving.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.output / "serving.md").write_text(table(results) + "\n")
    plot(results, arguments.output / "serving.png")
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
