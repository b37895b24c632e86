"""Runs the service as a Ray Serve application: `serve run deploy/ray/serve.yaml`, from the top folder.

A replica holds the whole service, with its settings from CHAINZRULE_* as everywhere. In front of the replicas stands an
ingress that hands each request to one of them, and to another if that one dies: a prediction may be asked for twice.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any

import ray
import uvicorn
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chainzrule.service.api.problems import problem
from chainzrule.service.app import create_app
from chainzrule.service.protocol import BoundedProtocol
from chainzrule.service.settings import Settings
from chainzrule.service.telemetry.logs import configure_logs

Headers = Sequence[tuple[bytes, bytes]]

TARGETS = "/metrics/targets"
ATTEMPTS = 5  # replicas that are tried for one request
ANNOUNCED_EVERY = 2.0  # seconds
FORGOTTEN_AFTER = 10.0  # seconds without being announced


@ray.remote(num_cpus=0)
class Targets:
    """Keeps the replicas' own addresses for Prometheus, because every replica's counters and windows are its own."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def announce(self, address: str) -> None:
        """Records that a replica lives."""
        self._seen[address] = time.monotonic()

    def living(self) -> list[str]:
        """Returns the addresses that were announced lately."""
        oldest = time.monotonic() - FORGOTTEN_AFTER
        self._seen = {address: seen for address, seen in self._seen.items() if seen > oldest}
        return sorted(self._seen)


def targets() -> Any:
    """Returns the cluster's one list of addresses."""
    return Targets.options(
        name="chainzrule-targets", namespace="chainzrule", get_if_exists=True, lifetime="detached", max_restarts=-1
    ).remote()


@serve.deployment
class Replica:
    """Runs one whole service: it answers what the ingress hands it, and listens on its own port for scrapes."""

    def __init__(self) -> None:
        self._app: Any = None
        self._server: uvicorn.Server | None = None
        self._duties: list[asyncio.Task[None]] = []
        self._starting = asyncio.Lock()

    async def answer(
        self, method: str, path: str, query: bytes, headers: Headers, body: bytes
    ) -> tuple[int, Headers, bytes]:
        """Returns the service's answer to one request: status, headers and body."""
        await self._start()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": list(headers),
            "client": None,
            "server": None,
            "extensions": {},
        }
        asked = iter([{"type": "http.request", "body": body, "more_body": False}])
        said: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            for message in asked:
                return message
            await asyncio.Event().wait()  # a caller that goes away cancels this call
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            said.append(message)

        await self._app(scope, receive, send)
        start = said[0]
        return start["status"], start["headers"], b"".join(message.get("body", b"") for message in said[1:])

    async def check_health(self) -> None:
        """Raises where the service is unhealthy, upon which Ray replaces the replica."""
        await self._start()
        assert self._server is not None
        if self._server.should_exit:
            raise RuntimeError("the service has stopped")

    async def _start(self) -> None:
        async with self._starting:
            if self._server is not None:
                return
            settings = Settings()
            configure_logs(settings.log_level)
            app = create_app(settings)
            scraped = _scrapes_of(app)
            config = uvicorn.Config(
                scraped, host="0.0.0.0", port=0, log_config=None, access_log=False, http=BoundedProtocol, ws="none"
            )
            server = uvicorn.Server(config)
            self._duties = [asyncio.create_task(server.serve())]
            # Ray hands over requests once this returns, so the models of the first look have to be settled by then.
            while not (server.started and app.context.catalog.started.is_set()):
                if server.should_exit or self._duties[0].done():
                    raise RuntimeError("the service did not start; see its log")
                await asyncio.sleep(0.05)
            port = server.servers[0].sockets[0].getsockname()[1]
            self._duties.append(asyncio.create_task(_announce(f"{ray.util.get_node_ip_address()}:{port}")))
            self._app, self._server = app, server


def _scrapes_of(app: ASGIApp) -> ASGIApp:
    """Returns the application at the replica's own port, which shows that it runs and its metrics, nothing else."""

    async def scraped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/metrics":
            await problem(404, "unknown-route", "only metrics are to be had here")(scope, receive, send)
        else:
            await app(scope, receive, send)

    return scraped


async def _announce(address: str) -> None:
    while True:
        with contextlib.suppress(RayActorError):  # a dead replica is started anew
            await targets().announce.remote(address)
        await asyncio.sleep(ANNOUNCED_EVERY)


@serve.deployment
class Ingress:
    """Hands every request to a replica."""

    def __init__(self, replicas: DeploymentHandle) -> None:
        self._replicas = replicas
        self._most = Settings().max_body_bytes

    async def __call__(self, request: Request) -> Response:
        """Returns the answer of the first replica that lives to give one."""
        if request.url.path == TARGETS:
            return JSONResponse([{"targets": [target]} for target in await targets().living.remote()])
        body = await request.body()
        if len(body) > self._most:
            return problem(413, "too-large", f"a body may have at most {self._most} bytes")
        asked = (request.method, request.url.path, request.scope["query_string"], request.headers.raw, body)
        for _ in range(ATTEMPTS):
            try:
                status, headers, answer = await self._replicas.answer.remote(*asked)
            except RayActorError:
                continue
            except BackPressureError:
                return problem(429, "queue-full", "too many requests wait", headers=((b"retry-after", b"1"),))
            response = Response(answer, status)
            response.raw_headers = [header for header in headers if header[0] != b"x-request-id"]  # Ray adds it
            return response
        return problem(503, "not-ready", "the replicas that were asked ended before they answered")


application = Ingress.bind(Replica.bind())
