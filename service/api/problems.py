"""Answers errors as RFC 9457 problem details, which have one shape for every route."""

import logging
from http import HTTPStatus
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match

from chainzrule.service import errors
from chainzrule.service.api.elsewhere import advice_for
from chainzrule.service.api.incoming import Answer, Headers
from chainzrule.service.errors import ServiceError
from chainzrule.service.telemetry.logs import request_id

log = logging.getLogger(__name__)

# Every error of the tree that a request can cause has its status here, and the last part of its problem's type, which
# also labels the metric.
PROBLEMS: dict[type[ServiceError], tuple[int, str]] = {
    errors.MalformedRequest: (400, "malformed-request"),
    errors.Unauthorized: (401, "unauthorized"),
    errors.InsufficientScope: (403, "insufficient-scope"),
    errors.Forbidden: (403, "forbidden"),
    errors.UnknownModel: (404, "unknown-model"),
    errors.UnknownVersion: (404, "unknown-version"),
    errors.TooLarge: (413, "too-large"),
    errors.UnsupportedMedia: (415, "unsupported-media"),
    errors.Misdirected: (421, "misdirected"),
    errors.InvalidInput: (422, "invalid-input"),
    errors.NonFiniteOutput: (422, "non-finite-output"),
    errors.Rejected: (422, "rejected"),
    errors.NoBounds: (422, "no-bounds"),
    errors.ClientLimited: (429, "client-limited"),
    errors.TooManyFailures: (429, "too-many-failures"),
    errors.QueueFull: (429, "queue-full"),
    errors.Overloaded: (503, "overloaded"),
    errors.NotReady: (503, "not-ready"),
    errors.DeadlineExceeded: (504, "deadline-exceeded"),
}
# These say after how many seconds it is worth trying again.
_RETRIED = errors.ClientLimited | errors.TooManyFailures | errors.QueueFull | errors.Overloaded | errors.NotReady
INTERNAL = "internal-error"
_TYPE = "urn:chainzrule:problem:"


def problem(
    status: int,
    slug: str,
    detail: str,
    place: str | None = None,
    headers: Headers = (),
    oip: bool = False,
) -> Answer:
    """Returns the response to an error: a problem whose type ends in `slug`, or with `oip` that protocol's error."""
    if oip:
        message = detail if place is None else f"{place}: {detail}"
        return Answer(orjson.dumps({"error": message}), 400 if status == 422 else status, headers=headers)
    content: dict[str, Any] = {
        "type": _TYPE + slug,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "place": place,
        "request_id": request_id.get(),
    }
    return Answer(orjson.dumps(content), status, b"application/problem+json", headers)


def slug_of(error: ServiceError) -> str:
    """Returns the short name of an error, which is the last part of its problem's type."""
    return PROBLEMS.get(type(error), (500, INTERNAL))[1]


def problem_of(error: ServiceError, oip: bool = False) -> Answer:
    """Returns the response to one of the service's own errors."""
    status, slug = PROBLEMS.get(type(error), (500, INTERNAL))
    if status == 500:
        log.error("unexpected error", exc_info=error)
        return internal_problem(oip)
    headers: Headers = ()
    if isinstance(error, _RETRIED):
        headers = ((b"retry-after", str(error.retry_after).encode()),)
    if isinstance(error, errors.Unauthorized):
        headers = ((b"www-authenticate", b"Bearer"),)
    if isinstance(error, errors.InsufficientScope):
        headers = ((b"www-authenticate", b'Bearer error="insufficient_scope"'),)
    return problem(status, slug, error.detail, error.place, headers, oip)


def internal_problem(oip: bool = False) -> Answer:
    """Returns the response to an unexpected error, whose cause is only in the log."""
    detail = "the service failed to answer; the log has the cause under this request_id"
    return problem(500, INTERNAL, detail, oip=oip)


def is_oip(path: str) -> bool:
    """Returns whether a path belongs to the open inference protocol, whose errors have their own shape."""
    return path == "/v2" or path.startswith("/v2/")


def _methods(request: Request) -> list[str]:
    """Returns all methods that a path takes, each of which may have a route of its own."""
    found: set[str] = set()
    for route in request.app.router.routes:
        if route.matches(request.scope)[0] != Match.NONE:
            found |= getattr(route, "methods", None) or set()
    if "GET" in found:
        found.add("HEAD")
    return sorted(found)


async def routing_problem(request: Request, error: Exception) -> Answer:
    """Returns the response to a path or a method that no route has."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    slug, detail = INTERNAL, "the request could not be routed"
    if status == 404:
        known = [route.path for route in request.app.routes if getattr(route, "include_in_schema", False)]
        slug, detail = "unknown-route", f"there is nothing at this path; {advice_for(path, known)}"
    elif status == 405:
        slug, detail = "method-not-allowed", f"this path takes {' and '.join(_methods(request))}"
    given = error.headers if isinstance(error, HTTPException) and error.headers else {}
    headers = tuple((name.lower().encode(), value.encode()) for name, value in given.items() if name.lower() != "allow")
    if status == 405:
        headers += ((b"allow", ", ".join(_methods(request)).encode()),)
    return problem(status, slug, detail, headers=headers, oip=is_oip(path))
