"""Handles what all requests share, however they are routed: the request id, errors, metrics and the log line."""

import asyncio
import logging
import random
import re
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import wraps
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chainzrule.service.api.access.access import Access
from chainzrule.service.api.access.crosssite import CrossSite
from chainzrule.service.api.access.origins import Origins
from chainzrule.service.api.context import Context
from chainzrule.service.api.hot import HotRoutes
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.problems import internal_problem, is_oip, problem_of, slug_of
from chainzrule.service.api.route import Route
from chainzrule.service.api.sending import PIECE, send_body
from chainzrule.service.errors import ServiceError
from chainzrule.service.telemetry.logs import request_id
from chainzrule.service.whole import WHOLE_ANSWER

log = logging.getLogger("chainzrule.access")

_NOTHING: dict[str, Any] = {}
NOSNIFF = (b"x-content-type-options", b"nosniff")  # answers are of the type that they say
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
CLIENT_CLOSED = 499


def guarded(route: Route, context: Context, cross_site: CrossSite) -> Route:
    """Returns the route with an endpoint that turns errors into problems, and never raises one.

    What changes or costs something is asked for by POST, and has to come from no other site.
    """
    endpoint, oip, posted = route.endpoint, is_oip(route.path), route.method == "POST"

    @wraps(endpoint)
    async def answer(request: Incoming) -> Response:
        try:
            if posted:
                cross_site.check(request, route)
            return await endpoint(request)
        except ServiceError as error:
            return refusal(error, context, oip)
        except ClientDisconnect:
            return Answer(b"", CLIENT_CLOSED)
        except Exception:
            log.exception("unexpected error")
            return internal_problem(oip)
        finally:
            request.holding.release()

    return replace(route, endpoint=answer)


def refusal(error: ServiceError, context: Context, oip: bool) -> Answer:
    """Returns the answer to a refused request, and counts the refusal by its reason."""
    context.metrics.rejected.labels(slug_of(error)).inc()
    return problem_of(error, oip)


class Exchange:
    """Answers requests by the hot routes or, where none of them matches, by the fallback.

    Attributes:
        hot: the routes that are tried first.
    """

    def __init__(
        self, context: Context, access: Access | None, hot: HotRoutes, fallback: ASGIApp, origins: Origins | None = None
    ) -> None:
        self.hot = hot
        self._context = context
        self._access = access
        self._fallback = fallback
        self._origins = origins
        self._prefix = context.settings.root_path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        begin = time.perf_counter()
        context = self._context
        request = Incoming(scope, receive, context.reading)
        identity = _identity(request)
        token = request_id.set(identity)
        status = CLIENT_CLOSED
        response: Response
        context.in_progress += 1
        path, method = self._path(scope), scope["method"]
        endpoint, route = self.hot.find(method, path, scope)
        try:
            error = self._access.refusal(request, method, path, route) if self._access is not None else None
            if error is not None:
                response = refusal(error, context, is_oip(path))
            elif endpoint is not None:
                request.follow_client()
                response = await endpoint(request)
            else:

                async def answer(message: Message) -> None:
                    nonlocal status
                    if message["type"] == "http.response.start":
                        status = message["status"]
                        message["headers"] = self._completed(request, identity, message.get("headers", ()))
                    await send_body(send, message)

                if method == "HEAD":  # it is answered like GET, and the server leaves the body out
                    scope = {**scope, "method": "GET"}
                await self._fallback(scope, receive, answer)
                return
            status = response.status_code
            headers = self._completed(request, identity, response.raw_headers)
            whole = scope.get("extensions", _NOTHING).get(WHOLE_ANSWER)
            at_once = whole is not None and not context.draining and len(response.body) <= PIECE
            if at_once and whole(status, headers, response.body):
                return
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send_body(send, {"type": "http.response.body", "body": response.body})
        except asyncio.CancelledError:
            if not request.gone:  # the server cancelled it, because it stops
                raise
        finally:
            scope.pop("extensions", None)  # breaks a reference cycle, so that the request is freed at once
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

    def _completed(
        self, request: Incoming, identity: str, headers: Iterable[tuple[bytes, bytes]]
    ) -> list[tuple[bytes, bytes]]:
        """Returns an answer's headers with those that every answer has, however it is routed."""
        if self._origins is not None:
            headers = self._origins.marked(request, headers)
        completed = [*headers, (b"x-request-id", identity.encode()), NOSNIFF]
        if self._context.draining:
            completed.append((b"connection", b"close"))
        return completed

    def _path(self, scope: Scope) -> str:
        """Returns the path as in the routes, whether or not a proxy has removed its prefix.

        An address with a final slash is the one without it, for FastAPI too.
        """
        path: str = scope["path"]
        prefix = self._prefix
        if prefix:
            scope["root_path"] = prefix
            if path == prefix:  # the address of the page without its final slash
                scope["path"] = path = path + "/"
            elif not path.startswith(prefix + "/"):
                prefix = ""
        if path.endswith("/") and len(path) > len(prefix) + 1:
            scope["path"] = path = path[:-1]
        return path[len(prefix) :]


def _identity(request: Incoming) -> str:
    """Returns the caller's request id, or a random one."""
    given = request.header(b"x-request-id")
    return given if given is not None and _ID.fullmatch(given) else f"{random.getrandbits(128):032x}"
