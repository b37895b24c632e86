"""Decides who may use the API: everybody, or only callers with the bearer token; open routes always answer."""

import hmac
from collections.abc import Iterable
from pathlib import Path

from starlette.routing import compile_path

from chainzrule.service.api.incoming import Incoming
from chainzrule.service.api.route import Route
from chainzrule.service.errors import ServiceError


class Access:
    """Decides whether a request may be answered.

    Args:
        routes: all routes; the open ones among them need no token.
        token: the bearer token; None permits every request.
    """

    def __init__(self, routes: Iterable[Route], token: bytes | None) -> None:
        open_paths = [route.path for route in routes if route.open]
        self._fixed = frozenset(path for path in open_paths if "{" not in path)
        self._patterns = [compile_path(path)[0] for path in open_paths if "{" in path]
        self._token = token

    def permits(self, request: Incoming, method: str, path: str) -> bool:
        """Returns whether a request may be answered; `path` is the path as in the routes, without a proxy's prefix."""
        if self._token is None or path in self._fixed:
            return True
        # OPTIONS reveals nothing, and a browser cannot send the token with a preflight request.
        if method == "OPTIONS" or any(pattern.match(path) for pattern in self._patterns):
            return True
        scheme, _, given = (request.header(b"authorization") or "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), self._token)


def read_token(file: Path | None) -> bytes | None:
    """Returns the bearer token in a file; None where no file is given.

    Raises:
        ServiceError: the file cannot be read, or is empty, which would permit every request.
    """
    if file is None:
        return None
    try:
        token = file.read_bytes().strip()
    except OSError as error:
        raise ServiceError(f"--token-file: the file cannot be read ({error.strerror})") from None
    if not token:
        raise ServiceError("--token-file: the file is empty")
    return token
