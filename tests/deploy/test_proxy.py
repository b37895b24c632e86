"""The proxy's configuration in a real HAProxy, in front of replicas that the test plays itself."""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.deploy.haproxy import haproxy
from tests.deploy.monitoring import await_that


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
    with haproxy(tmp_path, [replica.server_port]) as address:
        yield address


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
