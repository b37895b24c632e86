"""`chainzrule serve` as a process of its own: start, signals, drain, and abuse of its socket."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from tests.artifacts import CLASSIFIER, SLOW
from tests.processes import ROOT, await_ready, free_port, until

BODY = json.dumps({"instances": [[1.0, 2.0]]}).encode()
JSON = {"Content-Type": "application/json"}


class Process:
    """A server on a port of its own choice; its log is read as it comes."""

    def __init__(self, models: Path, *flags: str, awaited: str = '"the models have loaded"') -> None:
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chainzrule", "serve", "--models", str(models), "--port", "0", *flags],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "error"},
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        found = self.wait_for(r'"listening".*"port": (\d+)')
        self.wait_for(awaited, 60)
        self.port = int(found.group(1))
        self.address = f"http://127.0.0.1:{self.port}"
        self.seconds_to_start = time.monotonic() - begin

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def wait_for(self, pattern: str, seconds: float = 20) -> "re.Match[str]":
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := re.search(pattern, "".join(self.lines)):
                return found
            assert self.process.poll() is None, "".join(self.lines)
            time.sleep(0.01)
        raise AssertionError(f"{pattern} is not in the log: {self.lines}")

    def predict(self, timeout: float = 10) -> httpx.Response:
        return httpx.post(f"{self.address}/predict", content=BODY, headers=JSON, timeout=timeout)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = 20) -> int:
        status = self.process.wait(seconds)
        self._reader.join(5)
        return status


@contextlib.contextmanager
def process(models: Path, *flags: str, **options: str) -> Iterator[Process]:
    started = Process(models, *flags, **options)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.end()
        assert started.process.stderr is not None
        started.process.stderr.close()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    CLASSIFIER.publish(root)
    return root


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Process]:
    """A server for the tests that leave it as they found it."""
    with process(models, "--request-timeout", "1") as running:
        yield running


# Starting.


def test_imports_are_pure_and_the_start_is_quick(models: Path) -> None:
    program = (
        "import sys, chainzrule.service.app, chainzrule.service.server\n"
        "from chainzrule.service.settings import Settings\n"
        f"chainzrule.service.app.create_app(Settings(models={str(models)!r}))\n"
        "tops = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(tops & {'torch', 'onnx', 'onnxscript', 'sklearn', 'pandas', 'scipy', 'service', 'tests'}))\n"
        "print(*sorted(tops & {'chainzrule', 'onnxruntime', 'fastapi', 'uvicorn'}))\n"
        "print('chainzrule.training' in sys.modules)\n"
    )
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == ["", "chainzrule fastapi onnxruntime uvicorn", "False"]
    with process(models) as running:
        assert httpx.get(f"{running.address}/readyz").status_code == 200
        print(f"from a cold import to ready in {running.seconds_to_start:.2f} s")
        assert running.seconds_to_start < 30  # on a machine that is busy with much else


def test_the_log_is_json_and_has_no_inputs(models: Path) -> None:
    with process(models, "--access-log", "true") as running:
        assert running.predict().status_code == 200
        httpx.get(f"{running.address}/sensitivity?x=1.25,s3cret")
        running.wait_for('"route": "/sensitivity"')
        running.signal(signal.SIGINT)
        assert running.end() == 0
    for line in running.lines:
        assert isinstance(json.loads(line), dict)
    assert "s3cret" not in "".join(running.lines)


def failed_start(*flags: str, **environment: str) -> tuple[int, str]:
    found = subprocess.run(
        [sys.executable, "-m", "chainzrule", "serve", *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in found.stderr
    return found.returncode, found.stderr


def test_a_setting_that_cannot_work_ends_with_one_line(models: Path) -> None:
    status, text = failed_start("--models", str(models), CHAINZRULE_MAX_ROWS="many")
    assert status == 2
    (line,) = text.splitlines()
    assert line.startswith("--max-rows (CHAINZRULE_MAX_ROWS): ")
    assert "many" not in line


def test_a_port_in_use_ends_the_start(models: Path, server: Process) -> None:
    status, text = failed_start("--models", str(models), "--port", str(server.port))
    assert status == 2
    own = [line for line in text.splitlines() if not line.startswith("{")]
    assert own == [f"--host, --port: cannot listen on 127.0.0.1:{server.port} (Address already in use)"]
    assert "model version" not in text  # before anything was loaded
    assert server.predict().status_code == 200


# Signals.


def test_sighup_reads_the_repository_again(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path)
    with process(tmp_path, "--reload-seconds", "0") as running:
        assert running.predict().json()["version"] == "1"
        replace(CLASSIFIER, seed=5).publish(tmp_path)
        time.sleep(0.3)
        assert running.predict().json()["version"] == "1"
        running.signal(signal.SIGHUP)
        running.wait_for('"model version ready".*"version": "2"')
        assert running.predict().json()["version"] == "2"


def test_sighup_does_no_harm_at_any_time_of_the_start(models: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "chainzrule", "serve", "--models", str(models), "--port", "0"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # which a process inherits otherwise
    ) as starting:
        assert starting.stderr is not None
        try:
            for line in starting.stderr:  # the first of what is slow to import
                if line.rstrip().endswith("uvicorn"):
                    break
            seen = ""
            for line in starting.stderr:
                starting.send_signal(signal.SIGHUP)
                seen = line
                if "startup complete" in line:
                    break
            assert "startup complete" in seen
        finally:
            starting.kill()


def test_a_default_model_that_is_not_there_is_warned_of(models: Path) -> None:
    with process(models, "--default-model", "absent") as running:
        found = running.wait_for(".*the default model is not in the repository.*")
        assert json.loads(found.group())["level"] == "WARNING"
        assert json.loads(found.group())["model"] == "absent"


def test_the_repository_is_followed_without_a_signal(tmp_path: Path) -> None:
    with process(tmp_path, "--reload-seconds", "0.2") as running:
        assert httpx.get(f"{running.address}/readyz").status_code == 503
        CLASSIFIER.publish(tmp_path)
        running.wait_for("model version ready")
        assert running.predict().status_code == 200
        assert httpx.get(f"{running.address}/readyz").status_code == 200


@dataclass
class Load:
    """Clients that ask without pause; each outcome is written down."""

    port: int
    clients: int
    obedient: bool  # stop at `Connection: close`, as behind a balancer; else connect again
    outcomes: Counter[str] = field(default_factory=Counter)
    told_to_close: int = 0
    ended: bool = False

    def run(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._client, daemon=True) for _ in range(self.clients)]
        for thread in threads:
            thread.start()
        return threads

    def _client(self) -> None:
        while not self.ended:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                connection.connect()
            except OSError:
                self.outcomes["refused"] += 1
                return
            with contextlib.closing(connection):
                if not self._ask(connection):
                    return

    def _ask(self, connection: http.client.HTTPConnection) -> bool:
        """Ask over one connection until it closes; False: ask no more."""
        while not self.ended:
            try:
                connection.request("POST", "/predict", BODY, JSON)
                response = connection.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException) as error:
                self.outcomes[f"cut off: {type(error).__name__}"] += 1
                return True
            whole = response.status == 200 and b'"predictions"' in content and content.endswith(b"}")
            self.outcomes["answered" if whole else f"odd: {response.status}"] += 1
            if response.headers.get("Connection", "").lower() == "close":
                self.told_to_close += 1
                return not self.obedient
        return False


@pytest.mark.parametrize("obedient", [True, False])
def test_sigterm_under_load_cuts_nothing_off(models: Path, obedient: bool) -> None:
    with process(models, "--drain-grace", "3") as running:
        load = Load(running.port, 6, obedient)
        threads = load.run()
        until(lambda: load.outcomes["answered"] >= 6)
        assert httpx.get(f"{running.address}/readyz").status_code == 200
        running.signal(signal.SIGTERM)
        running.wait_for('"draining"')
        ready = httpx.get(f"{running.address}/readyz")
        assert (ready.status_code, ready.json()["draining"]) == (503, True)
        assert running.predict().status_code == 200
        assert running.predict().headers["connection"] == "close"
        assert running.end() == 0
        for thread in threads:  # they end by themselves: told to close, or refused
            thread.join(20)
        load.ended = True
        assert not [thread for thread in threads if thread.is_alive()]
    assert set(load.outcomes) <= {"answered", "refused"}, load.outcomes  # none is lost
    if obedient:
        assert load.told_to_close == 6
        assert load.outcomes["refused"] == 0
    else:  # they connect again until nobody listens
        assert load.told_to_close >= 6
        assert load.outcomes["refused"] == 6


def test_a_request_in_flight_is_finished_after_the_listener_closed(tmp_path: Path) -> None:
    SLOW.publish(tmp_path)
    with process(tmp_path, "--drain-grace", "0", "--inline-milliseconds", "0") as running:
        body = json.dumps({"instances": [[5e5, 0.0]]}).encode()
        answers: list[int] = []

        def ask() -> None:
            answers.append(httpx.post(f"{running.address}/predict", content=body, headers=JSON, timeout=30).status_code)

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.3)
        running.signal(signal.SIGTERM)
        thread.join(30)
        assert answers == [200]
        assert running.end() == 0


def test_a_connection_accepted_last_still_gets_its_answer(models: Path) -> None:
    with process(models, "--drain-grace", "0") as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=5) as connection:
            time.sleep(0.2)
            running.signal(signal.SIGTERM)
            end = time.monotonic() + 5
            with contextlib.suppress(ConnectionRefusedError):
                while time.monotonic() < end:
                    socket.create_connection(("127.0.0.1", running.port), timeout=5).close()
                    time.sleep(0.005)
            connection.sendall(request(BODY))  # the listener is closed, but this connection was there before
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        assert statuses(answer) == [200]
        assert answer.endswith(b"}")
        assert running.end() == 0


@pytest.mark.parametrize(("first", "second"), [(signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)])
def test_a_second_signal_skips_the_wait(models: Path, first: int, second: int) -> None:
    with process(models, "--drain-grace", "60") as running:
        running.signal(first)
        running.wait_for('"draining"')
        assert running.process.poll() is None
        begin = time.monotonic()
        running.signal(second)
        assert running.end() == 0
        assert time.monotonic() - begin < 5


def test_sigint_stops_at_once(models: Path) -> None:
    with process(models, "--drain-grace", "60") as running:
        running.signal(signal.SIGINT)
        assert running.end(10) == 0


def test_idle_connections_do_not_hold_the_end_up(models: Path) -> None:
    with process(models, "--drain-grace", "0.2") as running, httpx.Client() as client:
        assert client.get(f"{running.address}/healthz").status_code == 200
        with socket.create_connection(("127.0.0.1", running.port)):
            begin = time.monotonic()
            running.signal(signal.SIGTERM)
            assert running.end() == 0
            assert time.monotonic() - begin < 5


def test_a_log_that_nobody_reads_stops_nothing(models: Path) -> None:
    reader, end = os.pipe()
    port = free_port()
    command = [sys.executable, "-m", "chainzrule", "serve", "--models", str(models), "--port", str(port)]
    running = subprocess.Popen([*command, "--access-log", "true", "--drain-grace", "0"], cwd=ROOT, stderr=end)
    os.close(end)
    try:
        await_ready(f"http://127.0.0.1:{port}", running)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(2000):  # more than a pipe holds
                assert client.get("/healthz", headers={"X-Request-ID": "x" * 100}).status_code == 200
            for _ in range(1000):
                with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                    connection.sendall(b"garbage\r\n\r\n")
                    assert statuses(connection.recv(4096)) == [400]
            assert client.post("/predict", content=BODY, headers=JSON).status_code == 200
            assert 'chainzrule_log_lines_lost_total{reason="repeated"} 900.0' in client.get("/metrics").text
        running.terminate()
        assert running.wait(30) == 0
    finally:
        running.kill()
        running.wait(30)
        os.close(reader)


# Abuse.


def talk(server: Process, *parts: bytes, pause: float = 0.0, half_close: bool = False, read: bool = True) -> bytes:
    """Send bytes as they are; returns all that comes back until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        for part in parts:
            with contextlib.suppress(OSError):
                connection.sendall(part)
            time.sleep(pause)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        connection.settimeout(1.0)
        with contextlib.suppress(OSError):
            while read and (chunk := connection.recv(65536)):
                received += chunk
        return received


def request(body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = ["POST /predict HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", answer)]


CLOSE = "Connection: close"
ABUSE: list[tuple[str, Callable[[Process], bytes], list[int]]] = [
    ("garbage", lambda s: talk(s, b"\x00\xffgarbage\r\n\r\n"), [400]),
    ("TLS hello", lambda s: talk(s, bytes.fromhex("16030100a5010000a10303") + os.urandom(100)), [400]),
    ("nothing at all", lambda s: talk(s, half_close=True), []),
    ("half a request line", lambda s: talk(s, b"POST /pre", half_close=True), []),
    ("half the headers", lambda s: talk(s, b"POST /predict HTTP/1.1\r\nHost: te", half_close=True), []),
    ("half the body, then gone", lambda s: talk(s, request(BODY[:5], length=len(BODY)), read=False), []),
    ("byte by byte", lambda s: talk(s, *(bytes([b]) for b in request(BODY, CLOSE)), pause=0.001), [200]),
    ("body in pieces", lambda s: talk(s, request(BODY[:5], CLOSE, length=len(BODY)), BODY[5:], pause=0.1), [200]),
    ("body that never comes", lambda s: talk(s, request(b"{", CLOSE, length=100), pause=1.3), [504]),
    ("pipelined", lambda s: talk(s, request(BODY) * 5 + request(BODY, CLOSE)), [200] * 6),
    (
        "pipelined with a refusal",
        lambda s: talk(s, request(BODY) + request(b"{}") + request(BODY, CLOSE)),
        [200, 422, 200],
    ),
    ("too long by its own word", lambda s: talk(s, request(b"{", CLOSE, length=10**9)), [413]),
    (
        "too long by its own word, absurdly",
        lambda s: talk(s, request(b"{", CLOSE).replace(b"Length: 1", b"Length: " + b"9" * 40)),
        [400],
    ),
    ("negative length", lambda s: talk(s, request(b"{}", length=-5)), [400]),
    ("two lengths", lambda s: talk(s, request(b"{}", "Content-Length: 7")), [400]),
    (
        "chunked",
        lambda s: talk(
            s,
            request(b"", CLOSE, "Transfer-Encoding: chunked", length=-1) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
        ),
        [200],
    ),
    (
        "chunked without end",
        lambda s: talk(
            s,
            request(b"", CLOSE, "Transfer-Encoding: chunked", length=-1),
            *([b"ffff\r\n" + b" " * 65535 + b"\r\n"] * 140),
        ),
        [413],
    ),
    ("broken chunk", lambda s: talk(s, request(b"", "Transfer-Encoding: chunked", length=-1) + b"zz\r\n"), [400]),
    ("HTTP/1.0", lambda s: talk(s, request(BODY).replace(b"HTTP/1.1", b"HTTP/1.0")), [200]),
    (
        "upgrade to a websocket",
        lambda s: talk(
            s, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
        ),
        [200],
    ),
    (
        "odd path",
        lambda s: talk(s, b"GET /%00%ff/../..//etc HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        [404],
    ),
    (
        "odd query",
        lambda s: talk(s, b"GET /sensitivity?x=%zz&\xff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        [400],
    ),
]


@pytest.mark.parametrize(("case", "expected"), [row[1:] for row in ABUSE], ids=[row[0] for row in ABUSE])
def test_abuse_of_the_socket_never_kills_it(
    server: Process, case: Callable[[Process], bytes], expected: list[int]
) -> None:
    answer = case(server)
    assert statuses(answer) == expected, answer
    assert b"Traceback" not in answer
    assert server.predict().status_code == 200
    assert server.process.poll() is None


def test_a_client_that_closes_its_half_gets_its_answer(server: Process) -> None:
    for closing in (CLOSE, "Connection: keep-alive"):
        for _ in range(10):
            answer = talk(server, request(BODY, closing), half_close=True)
            assert statuses(answer) == [200]
            head, _, content = answer.partition(b"\r\n\r\n")
            assert f"content-length: {len(content)}\r\n".encode() in head + b"\r\n"
            assert json.loads(content)["predictions"]
    assert server.predict().status_code == 200
    assert not [line for line in server.lines if "Traceback" in line]


def test_many_clients_that_vanish_leave_nothing_behind(server: Process) -> None:
    for _ in range(100):
        talk(server, request(BODY[:4], length=len(BODY)), read=False)
        talk(server, request(BODY), read=False)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        text = httpx.get(f"{server.address}/metrics").text
        if "chainzrule_requests_in_progress 1.0" in text:
            break
        time.sleep(0.05)
    assert "chainzrule_requests_in_progress 1.0" in text
    assert server.predict().status_code == 200
    assert not [line for line in server.lines if "Traceback" in line]


def test_a_client_that_goes_away_takes_its_queued_work_along(tmp_path: Path) -> None:
    SLOW.publish(tmp_path)
    spin = json.dumps({"instances": [[1e6, 1.0]]}).encode()
    tensor = {"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1e6, 1.0]}
    infer = json.dumps({"inputs": [tensor]}).encode()
    flags = ("--inline-milliseconds", "0", "--max-batch-rows", "1", "--request-timeout", "300")
    with process(tmp_path, *flags) as running:
        answers: list[httpx.Response] = []

        def ask() -> None:
            answers.append(httpx.post(f"{running.address}/predict", content=spin, headers=JSON, timeout=300))

        def metric(line: str) -> float:
            text = httpx.get(f"{running.address}/metrics").text
            return float(re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE).group(1))  # type: ignore[union-attr]

        def await_depth(wanted: int) -> None:
            end = time.monotonic() + 10
            while metric('chainzrule_queue_depth{model="slow"}') != wanted:
                assert time.monotonic() < end, wanted
                time.sleep(0.01)

        patient = threading.Thread(target=ask)
        patient.start()
        end = time.monotonic() + 10
        while metric("chainzrule_requests_in_progress") < 2:  # it, and the scrape
            assert time.monotonic() < end
        leaving = []
        for path, body in (("/predict", spin), ("/v2/models/slow/infer", infer)) * 4:
            connection = socket.create_connection(("127.0.0.1", running.port))
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            head += f"Content-Length: {len(body)}"
            connection.sendall(f"{head}\r\n\r\n".encode() + body)
            leaving.append(connection)
        await_depth(len(leaving))
        time.sleep(0.3)  # one that closed its half at once would only say that it has nothing more to ask
        for connection in leaving[:2]:  # reset, instead of a polite end
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for connection in leaving:
            connection.close()
        await_depth(0)
        assert patient.is_alive(), "the run was over before anybody left: nothing is shown"
        patient.join(300)
        assert [answer.status_code for answer in answers] == [200]
        (statistics,) = httpx.get(f"{running.address}/v2/models/slow/stats").json()["model_stats"]
        assert statistics["execution_count"] == 1
        assert statistics["inference_stats"]["fail"]["count"] == len(leaving)
        route = 'code="499",method="POST",route="/predict"'
        assert metric(f"chainzrule_request_duration_seconds_count{{{route}}}") == 4
        assert running.predict().status_code == 200
    assert "Exception" not in "".join(running.lines)
