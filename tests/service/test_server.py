"""The server stops with its terminal, takes a new certificate, and cleans up. `tests/served/` has the whole process."""

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.artifacts import CLASSIFIER
from tests.certificates import Authority
from tests.processes import ROOT, free_port, until


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    CLASSIFIER.publish(root)
    return root


class Started:
    """A server that has said that it is up, with its log in a file."""

    def __init__(self, folder: Path, *flags: str, terminal: bool = False, before: tuple[str, ...] = ()) -> None:
        self._log = folder / "log"
        self.terminal, other = os.openpty() if terminal else (-1, -1)
        program = "import fcntl, os, signal, sys, termios\n"
        if terminal:
            program += f"fcntl.ioctl({other}, termios.TIOCSCTTY, 0)\n"
            # Whoever runs the tests may ignore the signal, as `nohup` does, and a program inherits that.
            program += "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        program += "os.execvp(sys.argv[1], sys.argv[1:])"
        command = [sys.executable, "-m", "chainzrule", "serve", "--drain-grace", "60", *flags]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, *before, *command],
                cwd=ROOT,
                stderr=log,
                start_new_session=True,
                pass_fds=[other] if terminal else [],
            )
        if terminal:
            os.close(other)
        until(lambda: "startup complete" in self.log() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()

    def log(self) -> str:
        return self._log.read_text()


@contextlib.contextmanager
def started(folder: Path, *flags: str, terminal: bool = False, before: tuple[str, ...] = ()) -> Iterator[Started]:
    server = Started(folder, *flags, terminal=terminal, before=before)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait(30)


def answer(connection: socket.socket, host: bytes = b"localhost") -> bytes:
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % host)
    received = b""
    while chunk := connection.recv(4096):
        received += chunk
    return received


def test_closing_the_terminal_stops_a_server_that_a_person_started(models: Path, tmp_path: Path) -> None:
    with started(tmp_path, "--models", str(models), "--port", "0", terminal=True) as server:
        os.kill(server.process.pid, signal.SIGHUP)  # the terminal is still there: this only reads the models again
        time.sleep(1.5)
        assert server.process.poll() is None
        os.close(server.terminal)
        assert server.process.wait(20) == 0
        assert "the terminal was closed" in server.log()


@pytest.mark.parametrize("kind", ["detached", "nohup"])
def test_a_server_that_is_to_stay_outlives_the_terminal(models: Path, tmp_path: Path, kind: str) -> None:
    nohup = kind == "nohup"
    flags = ("--models", str(models), "--port", "0")
    with started(tmp_path, *flags, terminal=nohup, before=("nohup",) if nohup else ()) as server:
        if nohup:
            os.close(server.terminal)
        os.kill(server.process.pid, signal.SIGHUP)
        time.sleep(1.5)
        assert server.process.poll() is None


def test_a_socket_in_the_file_system(models: Path, tmp_path: Path) -> None:
    path = Path(f"/tmp/{os.getpid()}.socket")  # there is room for about a hundred characters
    with started(tmp_path, "--models", str(models), "--unix-socket", str(path)) as server:
        for _ in range(2):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(str(path))
                assert b"200 OK" in answer(client, host=b"public.example")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 0
        assert not path.exists()
        assert "Traceback" not in server.log()


def test_a_new_certificate_is_shown_to_new_connections(models: Path, tmp_path: Path) -> None:
    authority, clients = Authority(tmp_path), Authority(tmp_path, "clients")
    certificate, key = authority.issue("server")
    port = free_port()

    def connect(client: tuple[Path, Path] | None) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        if client is not None:
            context.load_cert_chain(*client)
        return context.wrap_socket(
            socket.create_connection(("127.0.0.1", port), timeout=10), server_hostname="localhost"
        )

    def name(connection: ssl.SSLSocket) -> str:
        found = connection.getpeercert() or {}
        return str(dict(pair for part in found["subject"] for pair in part)["commonName"])  # type: ignore[arg-type,misc,union-attr]

    def lets_in(client: tuple[Path, Path] | None) -> bool:
        try:
            with connect(client) as connection:
                return b"200 OK" in answer(connection)
        except OSError:
            return False

    member = clients.issue("member")
    files = ("--tls-certificate", str(certificate), "--tls-key", str(key), "--tls-client-ca", str(clients.certificate))
    with started(tmp_path, "--models", str(models), "--port", str(port), *files) as server:
        kept = connect(member)
        with kept:
            kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200 OK" in kept.recv(4096)
            assert not lets_in(None)
            assert not lets_in(authority.issue("stranger"))
            assert lets_in(member)
            authority.issue("next")
            (tmp_path / "next.pem").replace(certificate)
            until(lambda: "the new certificate does not work" in server.log(), 30)
            with connect(member) as connection:
                assert name(connection) == "server"
            (tmp_path / "next.key").replace(key)
            until(lambda: "certificate read again" in server.log(), 30)
            with connect(member) as connection:
                assert name(connection) == "next"
                assert b"200 OK" in answer(connection)
            assert name(kept) == "server"  # what is open stays open
            assert b"200 OK" in answer(kept)
        # The clients' authority is read again too, and the former one's clients are let in no longer.
        others = Authority(tmp_path, "others")
        another = others.issue("another")
        others.certificate.replace(clients.certificate)
        until(lambda: server.log().count("certificate read again") == 2, 30)
        assert lets_in(another)
        assert not lets_in(member)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0
        assert "Traceback" not in server.log()


def test_a_handshake_that_never_ends_ends_the_connection_and_clear_text_is_no_request(
    models: Path, tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path).issue("server")
    port = free_port()
    files = ("--tls-certificate", str(certificate), "--tls-key", str(key))
    with (
        started(tmp_path, "--models", str(models), "--port", str(port), *files),
        socket.create_connection(("127.0.0.1", port), timeout=30) as silent,
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as clear, contextlib.suppress(OSError):
            assert not answer(clear).startswith(b"HTTP")
        begin = time.monotonic()
        with contextlib.suppress(ConnectionError):
            assert silent.recv(1) == b""
        assert 5 < time.monotonic() - begin < 25
