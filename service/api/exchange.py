"""What every request goes through, whichever way it is routed: its id, its errors, its metrics, its log line."""

import asyncio
import hmac
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chainzrule.service.api.context import Context
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.problems import internal_problem, is_oip, problem_of, slug_of
from chainzrule.service.errors import ServiceError, Unauthorized
from chainzrule.service.protocol import WHOLE_ANSWER
from chainzrule.service.telemetry.logs import request_id

log = logging.getLogger("chainzrule.access")

Endpoint = Callable[[Incoming], Awaitable[Response]]

_NOTHING: dict[str, Any] = {}
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_OPEN_ROUTES = frozenset(("/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready", "/"))
_OPEN_FOLDER = "/ui/"  # with "/": the playground, which asks for the token itself
CLIENT_CLOSED = 499
INFER = "/v2/models/{model}/infer"
INFER_VERSION = "/v2/models/{model}/versions/{version}/infer"


def guarded(endpoint: Endpoint, context: Context, oip: bool = False) -> Endpoint:
    """An endpoint that answers its errors as problems (`oip`: as that protocol has them) and never raises."""

    @wraps(endpoint)
    async def answer(request: Incoming) -> Response:
        try:
            return await endpoint(request)
        except ServiceError as error:
            context.metrics.rejected.labels(slug_of(error)).inc()
            return problem_of(error, oip)
        except ClientDisconnect:
            return Answer(b"", CLIENT_CLOSED)
        except Exception:
            log.exception("unexpected error")
            return internal_problem(oip)

    return answer


class HotRoutes:
    """The routes that are found without FastAPI's routing: fixed paths, and the protocol's inference path."""

    def __init__(self, fixed: dict[tuple[str, str], Endpoint], infer: dict[str, Endpoint]) -> None:
        """Take endpoints by method and path, and the two inference endpoints by their route."""
        self._fixed = fixed
        self._infer = infer

    def find(self, method: str, path: str, scope: Scope) -> tuple[Endpoint | None, str | None]:
        """A path's endpoint and route, with its parameters put into the scope; nothing for FastAPI's to find."""
        endpoint = self._fixed.get((method, path))
        if endpoint is not None:
            return endpoint, path
        if method == "POST" and path.startswith("/v2/models/") and path.endswith("/infer"):
            match path.split("/")[3:-1]:
                case [model]:
                    return self._infer_at(INFER, scope, {"model": model})
                case [model, "versions", version]:
                    return self._infer_at(INFER_VERSION, scope, {"model": model, "version": version})
        return None, None

    def _infer_at(self, route: str, scope: Scope, parameters: dict[str, str]) -> tuple[Endpoint | None, str | None]:
        endpoint = self._infer.get(route)
        if endpoint is None:
            return None, None
        scope["path_params"] = parameters
        return endpoint, route


class Exchange:
    """Runs one request through the hot table or, failing that, through `fallback`."""

    def __init__(self, context: Context, hot: HotRoutes, fallback: ASGIApp, token: bytes | None) -> None:
        self._context = context
        self._hot = hot
        self._fallback = fallback
        self._token = token
        self._prefix = context.settings.root_path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        begin = time.perf_counter()
        context = self._context
        request = Incoming(scope, receive, context.bodies)
        identity = self._identity(request)
        token = request_id.set(identity)
        # For every answer, whichever way it comes about.
        extra = [(b"x-request-id", identity.encode())]
        status = CLIENT_CLOSED
        response: Response
        context.in_progress += 1
        path, method = self._path(scope), scope["method"]
        endpoint, route = self._hot.find(method, path, scope)
        try:
            if self._token is not None and not self._authorized(request, path, method):
                context.metrics.rejected.labels("unauthorized").inc()
                response = problem_of(
                    Unauthorized("send Authorization: Bearer with this service's token"), is_oip(path)
                )
            elif endpoint is not None:
                request.follow_client()
                response = await endpoint(request)
            else:

                async def answer(message: Message) -> None:
                    nonlocal status
                    if message["type"] == "http.response.start":
                        status = message["status"]
                        message["headers"] = [*message.get("headers", ()), *extra, *self._closing()]
                    await send(message)

                if method == "HEAD":  # GET, whose body the server leaves out
                    scope = {**scope, "method": "GET"}
                await self._fallback(scope, receive, answer)
                return
            status = response.status_code
            headers = [*response.raw_headers, *extra, *self._closing()]
            whole = scope.get("extensions", _NOTHING).get(WHOLE_ANSWER)
            if whole is not None and not context.draining and whole(status, headers, response.body):
                return
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": response.body})
        except asyncio.CancelledError:
            if not request.gone:  # the server stops
                raise
        finally:
            scope.pop("extensions", None)  # they hold what holds the scope: now all of it goes at once
            context.in_progress -= 1
            seconds = time.perf_counter() - begin
            route = route or str(getattr(scope.get("route"), "path", "unmatched"))
            method = method if method in _METHODS else "OTHER"
            context.metrics.request_seconds.labels(route, method, str(status)).observe(seconds)
            if context.settings.access_log:
                log.info(
                    "request", extra={"method": method, "route": route, "status": status, "seconds": round(seconds, 6)}
                )
            request_id.reset(token)

    def _closing(self) -> tuple[tuple[bytes, bytes], ...]:
        """While draining, every answer asks for the connection to be closed."""
        return ((b"connection", b"close"),) if self._context.draining else ()

    def _path(self, scope: Scope) -> str:
        """The path as the routes know it, whether or not a proxy has left its prefix on."""
        path: str = scope["path"]
        if not self._prefix:
            return path
        scope["root_path"] = self._prefix
        if path == self._prefix:  # the page, by its address without the last slash
            scope["path"] = path = path + "/"
        return path[len(self._prefix) :] if path.startswith(self._prefix + "/") else path

    @staticmethod
    def _identity(request: Incoming) -> str:
        """The caller's request id, or a random one."""
        given = request.header(b"x-request-id")
        return given if given is not None and _ID.fullmatch(given) else f"{random.getrandbits(128):032x}"

    def _authorized(self, request: Incoming, path: str, method: str) -> bool:
        # OPTIONS tells nothing, and a browser's preflight cannot carry the token.
        if path in _OPEN_ROUTES or path.startswith(_OPEN_FOLDER) or method == "OPTIONS":
            return True
        scheme, _, given = (request.header(b"authorization") or "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), self._token or b"")
