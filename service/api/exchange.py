"""What every request goes through, whichever way it is routed: its id, its errors, its metrics, its log line."""

import hmac
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.context import Context
from service.api.problems import internal_problem, problem_of, slug_of
from service.errors import ServiceError, Unauthorized
from service.telemetry.logs import request_id

log = logging.getLogger("service.access")

Endpoint = Callable[[Request], Awaitable[Response]]

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_OPEN_ROUTES = frozenset(("/healthz", "/readyz", "/metrics"))
CLIENT_CLOSED = 499


def guarded(endpoint: Endpoint, context: Context) -> Endpoint:
    """An endpoint that answers its errors as problems and never raises."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ServiceError as error:
            context.metrics.rejected.labels(slug_of(error)).inc()
            return problem_of(error)
        except ClientDisconnect:
            return Response(status_code=CLIENT_CLOSED)
        except Exception:
            log.exception("unexpected error")
            return internal_problem()

    return answer


class Exchange:
    """Runs one request through the hot table or, failing that, through `fallback`."""

    def __init__(
        self, context: Context, hot: dict[tuple[str, str], Endpoint], fallback: ASGIApp, token: bytes | None
    ) -> None:
        self._context = context
        self._hot = hot
        self._fallback = fallback
        self._token = token
        self._prefix = context.settings.root_path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        begin = time.perf_counter()
        metrics = self._context.metrics
        headers = dict(scope["headers"])
        identity = self._identity(headers)
        token = request_id.set(identity)
        status = CLIENT_CLOSED

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", identity.encode())]
                if self._context.draining:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        metrics.in_progress.inc()
        try:
            path, method = self._path(scope), scope["method"]
            endpoint = self._hot.get((method, path))
            # OPTIONS tells nothing, and a browser's preflight cannot carry the token.
            guarded_route = path not in _OPEN_ROUTES and method != "OPTIONS"
            if self._token is not None and guarded_route and not self._authorized(headers):
                metrics.rejected.labels("unauthorized").inc()
                response = problem_of(Unauthorized("send Authorization: Bearer with this service's token"))
                await response(scope, receive, answer)
            elif endpoint is not None:
                await (await endpoint(Request(scope, receive)))(scope, receive, answer)
            else:
                await self._fallback(scope, receive, answer)
        finally:
            metrics.in_progress.dec()
            seconds = time.perf_counter() - begin
            route = path if endpoint is not None else getattr(scope.get("route"), "path", "unmatched")
            labels = (route, method if method in _METHODS else "OTHER", str(status))
            metrics.request_seconds.labels(*labels).observe(seconds)
            if self._context.settings.access_log:
                log.info(
                    "request",
                    extra={"method": labels[1], "route": route, "status": status, "seconds": round(seconds, 6)},
                )
            request_id.reset(token)

    def _path(self, scope: Scope) -> str:
        """The path as the routes know it, whether or not a proxy has left its prefix on."""
        path: str = scope["path"]
        if not self._prefix:
            return path
        scope["root_path"] = self._prefix
        return path[len(self._prefix) :] if path.startswith(self._prefix + "/") else path

    @staticmethod
    def _identity(headers: dict[bytes, bytes]) -> str:
        given = headers.get(b"x-request-id", b"")
        return given.decode() if _ID.fullmatch(given) else uuid.uuid4().hex

    def _authorized(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token or b"")
