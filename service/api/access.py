"""Who may ask: everybody, or who has the bearer token; open routes answer all the same."""

import hmac
from collections.abc import Iterable
from pathlib import Path

from starlette.routing import compile_path

from chainzrule.service.api.incoming import Incoming
from chainzrule.service.api.route import Route
from chainzrule.service.errors import ServiceError


class Access:
    """Decides whether a request is answered.

    Args:
        routes: the routes, of which the open ones need no token.
        token: the bearer token; None lets everybody in.
    """

    def __init__(self, routes: Iterable[Route], token: bytes | None) -> None:
        open_paths = [route.path for route in routes if route.open]
        self._fixed = frozenset(path for path in open_paths if "{" not in path)
        self._patterns = [compile_path(path)[0] for path in open_paths if "{" in path]
        self._token = token

    def permits(self, request: Incoming, method: str, path: str) -> bool:
        """Whether a request may be answered. `path` is the path that routes know, without a proxy's prefix."""
        if self._token is None or path in self._fixed:
            return True
        # OPTIONS tells nothing, and a browser cannot send the token with the preflight of a call.
        if method == "OPTIONS" or any(pattern.match(path) for pattern in self._patterns):
            return True
        scheme, _, given = (request.header(b"authorization") or "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), self._token)


def read_token(file: Path | None) -> bytes | None:
    """Reads the bearer token; None where no file is given.

    Raises:
        ServiceError: the file cannot be read, or is empty, which would let everybody in.
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
