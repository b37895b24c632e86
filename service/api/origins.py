"""Calls from pages of other origins: what a browser is told, so that it lets a page read the answers (CORS)."""

from collections.abc import Collection, Iterable

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

EXPOSED = ("X-Request-ID", "Retry-After", "Inference-Header-Content-Length")


class Origins:
    """Answers preflights ahead of an application, and marks the answers to calls, by Starlette's rules.

    Args:
        application: what answers all but preflights.
        allowed: the origins whose pages may call; `*` stands for all.
    """

    def __init__(self, application: ASGIApp, allowed: Collection[str]) -> None:
        self._application = application
        self._rules = CORSMiddleware(
            application, allow_origins=allowed, allow_methods=["*"], allow_headers=["*"], expose_headers=EXPOSED
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a preflight, and hands everything else to the application."""
        answer = self._rules if _is_preflight(Request(scope)) else self._application
        await answer(scope, receive, send)

    def marked(self, request: Request, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Returns an answer's headers with those that let the calling page read it, where it may."""
        marked = MutableHeaders(raw=list(headers))
        if _is_preflight(request):  # its answer says everything already
            return marked.raw
        origin = request.headers.get("origin")
        if origin is not None:
            marked.update(self._rules.simple_headers)
            if not self._rules.allow_all_origins and self._rules.is_allowed_origin(origin):
                marked["Access-Control-Allow-Origin"] = origin
        marked.add_vary_header("Origin")
        return marked.raw


def _is_preflight(request: Request) -> bool:
    """Whether a browser asks if a page may make a call, instead of making it."""
    asks = request.method == "OPTIONS" and "origin" in request.headers
    return asks and "access-control-request-method" in request.headers
