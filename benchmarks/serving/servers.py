"""Starts the servers that are measured: processes that serve one graph each, pinned to cores."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.workloads import ROOT, Workload

JSON = {"Content-Type": "application/json"}
PEERS = ROOT / ".venv-peers"
SCRIPTS = ROOT / "benchmarks/serving/peers"
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
}
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """Holds one workload's request to one server."""

    path: str
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Server:
    """Describes a way of serving.

    Attributes:
        name: as the report calls it.
        command: how it starts, with `{port}` in it.
        protocol: which body it takes and answers: `ours` or `undiagnosed` (/predict, and the open protocol's binary
            tensors), `instances` (/predict with `instances` alone), `kserve` (its V1 in JSON, and binary tensors), `v2`
            (the open protocol in JSON), or `echo`.
        environment: further environment variables, with `{port}` in them.
        folder: where it runs.
    """

    name: str
    command: tuple[str, ...]
    protocol: str
    environment: tuple[tuple[str, str], ...] = ()
    folder: Path = ROOT

    def question(self, workload: Workload) -> Question | None:
        """Returns a workload's request, or None where this server has no such interface."""
        own = self.protocol in ("ours", "undiagnosed", "echo")
        if workload.binary:
            outputs = ("scores", "probabilities") if self.protocol == "undiagnosed" else ()
            if self.protocol == "kserve":
                return _binary(workload, "peer", ())
            return _binary(workload, workload.model, outputs) if own else None
        if self.protocol == "v2":
            matrix = workload.matrix()
            data = json.dumps([value for row in json.loads(workload.instances()) for value in row])
            tensor = f'{{"name": "features", "datatype": "FP32", "shape": {list(matrix.shape)}, "data": {data}}}'
            return Question("/v2/models/peer/infer", f'{{"inputs": [{tensor}]}}'.encode(), JSON)
        path = "/v1/models/peer:predict" if self.protocol == "kserve" else "/predict"
        model = f'"model": "{workload.model}", ' if own else ""
        return Question(path, f'{{{model}"instances": {workload.instances()}}}'.encode(), JSON)

    def check(self, workload: Workload, answer: bytes, expected: Probabilities) -> None:
        """Raises unless the answer has the expected (rows, labels) probabilities."""
        if self.protocol == "echo":
            return
        found = _binary_probabilities(answer, expected.shape) if workload.binary else _probabilities(answer)
        if found.shape != expected.shape or not np.allclose(found, expected, atol=1e-4):
            raise AssertionError(f"{self.name} answers {workload.name} wrongly")


def peers(model: Path) -> list[Server]:
    """Returns the other model servers that `make bench-peers` has installed, around a graph."""
    environment = (("PEER_MODEL", str(model)), ("PEER_PORT", "{port}"))
    bento = ("-m", "bentoml", "serve", "serve_bentoml:Peer", "--host", "127.0.0.1", "--port", "{port}")
    known = [
        ("KServe", "kserve", ("serve_kserve.py",), "kserve"),
        ("MLServer", "mlserver", ("serve_mlserver.py",), "v2"),
        ("LitServe", "litserve", ("serve_litserve.py",), "instances"),
        ("BentoML", "bentoml", (*bento, "--working-dir", "."), "instances"),
    ]
    return [
        Server(name, (str(PEERS / folder / "bin/python"), *command), protocol, environment, SCRIPTS)
        for name, folder, command, protocol in known
        if (PEERS / folder / ".installed").exists()
    ]


@dataclass(frozen=True)
class Running:
    """Is a server that listens."""

    server: Server
    address: str
    process: "subprocess.Popen[bytes]"

    def cpu_seconds(self) -> float:
        """Returns the processor time used by the server and its child processes."""
        return sum(_cpu_seconds(pid) for pid in _family(self.process.pid))

    def memory(self) -> int:
        """Returns the resident bytes of the server and its child processes."""
        return sum(_resident(pid) for pid in _family(self.process.pid))


@contextlib.contextmanager
def running(server: Server, cores: str, seconds: float = 180) -> Iterator[Running]:
    """Starts a server pinned to cores, and yields it once it listens."""
    port = _free_port()
    parts = [sys.executable if part == "python" else part.format(port=port) for part in server.command]
    further = {name: value.format(port=port) for name, value in server.environment}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            ["taskset", "-c", cores, *parts],
            cwd=server.folder,
            env={**os.environ, **QUIET, **further},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _await(process, port, seconds)
            yield Running(server, f"http://127.0.0.1:{port}", process)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
            with contextlib.suppress(ProcessLookupError):  # ends the children that it has left in its own session
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(process: "subprocess.Popen[bytes]", port: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"server ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)
    raise TimeoutError("server did not start")


def ask(address: str, question: Question, patience: float = 60) -> bytes:
    """Sends one request and returns the answer; raises unless it succeeds.

    Some servers listen before they can answer, so it retries for `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            response = httpx.post(address + question.path, content=question.body, headers=question.headers, timeout=60)
            response.raise_for_status()
            return response.content
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _family(pid: int) -> list[int]:
    """Returns a process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _stat(pid: int) -> list[str]:
    """Returns the fields of /proc/PID/stat after the name."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    try:
        fields = _stat(pid)
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _probabilities(answer: bytes) -> Probabilities:
    document = json.loads(answer)
    if isinstance(document, dict) and "outputs" in document:
        output = document["outputs"][0]
        return np.array(output["data"], dtype=np.float64).reshape(output["shape"])
    rows: list[Any] = document["predictions"] if isinstance(document, dict) else document
    if isinstance(rows[0], dict):
        rows = [row["probabilities"] for row in rows]
    return np.array([list(row.values()) if isinstance(row, dict) else row for row in rows], dtype=np.float64)


def _binary_probabilities(answer: bytes, shape: tuple[int, ...]) -> Probabilities:
    header, end = json.JSONDecoder().raw_decode(answer.decode("latin-1"))
    at = len(answer) - sum(output["parameters"]["binary_data_size"] for output in header["outputs"])
    if at < end:
        raise AssertionError("fewer bytes than declared")
    for output in header["outputs"]:
        size = output["parameters"]["binary_data_size"]
        if output["name"] == "probabilities":
            return np.frombuffer(answer[at : at + size], "<f4").astype(np.float64).reshape(shape)
        at += size
    raise AssertionError("no probabilities")


def _binary(workload: Workload, model: str, outputs: tuple[str, ...]) -> Question:
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
        document["outputs"] = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    header = json.dumps(document).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(header))}
    return Question(f"/v2/models/{model}/infer", header + raw, headers)
