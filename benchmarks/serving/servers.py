"""Who is measured: processes that serve a shipped model, each pinned to one core."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.serving.workloads import ROOT, Workload

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Question:
    """One workload's request to one server."""

    path: str
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Server:
    """A way of serving.

    Attributes:
        name: as the report calls it.
        command: the arguments behind `python`, with `{port}` in them.
        protocol: which body it takes and answers: `ours`, `undiagnosed`, `plain` or `echo`.
        environment: further environment variables.
    """

    name: str
    command: tuple[str, ...]
    protocol: str
    environment: tuple[tuple[str, str], ...] = ()

    def question(self, workload: Workload) -> Question | None:
        """The request of a workload; None where this server has no such interface."""
        if workload.binary:
            outputs = ("scores", "probabilities") if self.protocol == "undiagnosed" else ()
            return None if self.protocol == "plain" else _binary(workload, outputs)
        model = f'"model": "{workload.model}", ' if self.protocol != "plain" else ""
        return Question("/predict", f'{{{model}"instances": {workload.instances()}}}'.encode(), JSON)

    def check(self, workload: Workload, answer: bytes, expected: list[str]) -> None:
        """Raise unless the answer has the expected labels."""
        if self.protocol == "echo" or (self.protocol == "undiagnosed" and workload.binary):
            return
        if workload.binary:
            for label in expected:
                if label.encode() not in answer:
                    raise AssertionError(f"{self.name} answers {workload.name} wrongly")
            return
        labels = [str(row["label"]) for row in json.loads(answer)["predictions"]]
        names = _indices(workload, expected) if self.protocol == "plain" else expected
        if labels != names:
            raise AssertionError(f"{self.name} answers {workload.name} wrongly")


def card_labels(model: str) -> list[str]:
    """The labels of a shipped model."""
    return list(json.loads((model_folder(model) / "card.json").read_text())["labels"])


def model_folder(model: str) -> Path:
    """The newest version of a shipped model."""
    return max((ROOT / "models" / model).iterdir(), key=lambda path: int(path.name) if path.name.isdecimal() else 0)


@contextlib.contextmanager
def running(server: Server, core: int) -> Iterator[str]:
    """Start a server pinned to a core, and give its address once it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["taskset", "-c", str(core), sys.executable, *(part.format(port=port) for part in server.command)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **dict(server.environment)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            _await(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=60)


def _await(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"server ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError("server did not start")


def ask(address: str, question: Question) -> bytes:
    """One request; raises unless it succeeds."""
    response = httpx.post(address + question.path, content=question.body, headers=question.headers, timeout=60)
    response.raise_for_status()
    return response.content


def _indices(workload: Workload, expected: list[str]) -> list[str]:
    labels = card_labels(workload.model)
    return [str(labels.index(label)) for label in expected]


def _binary(workload: Workload, outputs: tuple[str, ...]) -> Question:
    matrix = workload.matrix()
    raw = matrix.astype("<f4").tobytes()
    tensor = {
        "name": "features",
        "datatype": "FP32",
        "shape": list(matrix.shape),
        "parameters": {"binary_data_size": len(raw)},
    }
    document: dict[str, object] = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    if outputs:
        document["outputs"] = [{"name": name} for name in outputs]
    header = json.dumps(document).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(header))}
    return Question(f"/v2/models/{workload.model}/infer", header + raw, headers)
