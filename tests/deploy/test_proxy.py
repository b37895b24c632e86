"""The proxy's configuration in a real HAProxy, in front of replicas that the test plays itself."""

import contextlib
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.deploy.monitoring import await_that
from tests.processes import ROOT, free_port

CONFIG = (ROOT / "deploy" / "proxy" / "haproxy.cfg").read_text(encoding="utf-8")


class Replica(ThreadingHTTPServer):
    """Answers everything with 200, and `/readyz` as it is told to: with `status`, after `delay` seconds."""

    daemon_threads = True

    def __init__(self) -> None:
        self.status, self.delay, self.checks = 200, 0.0, 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805
                status = 200
                if handler.path == "/readyz":
                    time.sleep(self.delay)
                    status, self.checks = self.status, self.checks + 1
                with contextlib.suppress(ConnectionError):
                    handler.send_response(status)
                    handler.send_header("Content-Length", "0")
                    handler.end_headers()

            def log_message(self, *args: object) -> None:
                """Nothing."""

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def replica() -> Iterator[Replica]:
    with Replica() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(timeout=10)


@pytest.fixture
def proxy(replica: Replica, tmp_path: Path) -> Iterator[str]:
    """The address of a proxy that is configured as shipped, but for names and ports: there is no name server here."""
    haproxy = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if haproxy is None:
        pytest.skip("haproxy is not installed (Debian: apt-get install haproxy)")
    port = free_port()
    text = re.sub(r"^resolvers containers\n(?: .*\n)+", "", CONFIG, flags=re.MULTILINE)
    text = re.sub(
        r"server-template replica 16 service:8000 resolvers containers resolve-prefer ipv4 init-addr none",
        f"server replica 127.0.0.1:{replica.server_port}",
        text,
    )
    text = text.replace("bind :8000", f"bind 127.0.0.1:{port}").replace("127.0.0.1:8404", f"127.0.0.1:{free_port()}")
    (tmp_path / "haproxy.cfg").write_text(text)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([haproxy, "-f", tmp_path / "haproxy.cfg"], stdout=log, stderr=log)
    try:
        await_that(lambda: process.poll() is not None or status(f"http://127.0.0.1:{port}") == 200, 10, "it answers")
        assert process.poll() is None, (tmp_path / "log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(timeout=10)


def status(address: str) -> int:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{address}/predict", timeout=5).status_code
    return 0


def test_a_replica_that_is_not_ready_is_left_out_at_once(replica: Replica, proxy: str) -> None:
    replica.status = 503
    await_that(lambda: status(proxy) == 503, 5, "it is left out within the service's drain_grace")
    replica.status = 200
    await_that(lambda: status(proxy) == 200, 5, "it is back")


def test_a_busy_replica_that_is_slow_to_say_so_stays(replica: Replica, proxy: str) -> None:
    replica.delay, replica.checks = 1.5, 0
    seen = set()
    while replica.checks < 2:
        seen.add(status(proxy))
        time.sleep(0.1)
    assert seen == {200}
