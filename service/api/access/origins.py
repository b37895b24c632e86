"""Allows calls from pages of other origins (CORS), by the headers with which a browser lets pages read answers."""

from collections.abc import Collection, Iterable

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

EXPOSED = ("X-Request-ID", "Retry-After", "Inference-Header-Content-Length")


class Origins:
    """Answers preflight requests ahead of an application, and adds headers to its answers, by Starlette's rules.

    Args:
        application: answers everything else.
        allowed: the origins whose pages may call; `*` stands for all.
    """

    def __init__(self, application: ASGIApp, allowed: Collection[str]) -> None:
        self._application = application
        self._rules = CORSMiddleware(
            application, allow_origins=allowed, allow_methods=["*"], allow_headers=["*"], expose_headers=EXPOSED
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a preflight request, and passes every other one to the application."""
        answer = self._rules if _is_preflight(Request(scope)) else self._application
        await answer(scope, receive, send)

    def marked(self, request: Request, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Returns an answer's headers with those that let the calling page read it, if its origin is allowed."""
        marked = MutableHeaders(raw=list(headers))
        if _is_preflight(request):  # its answer has these headers already
            return marked.raw
        origin = request.headers.get("origin")
        if origin is not None:
            marked.update(self._rules.simple_headers)
            if not self._rules.allow_all_origins and self._rules.is_allowed_origin(origin):
                marked["Access-Control-Allow-Origin"] = origin
        marked.add_vary_header("Origin")
        return marked.raw


def _is_preflight(request: Request) -> bool:
    """Returns whether a request is a preflight, by which a browser asks whether a page may make a call."""
    asks = request.method == "OPTIONS" and "origin" in request.headers
    return asks and "access-control-request-method" in request.headers
