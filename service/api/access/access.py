"""Decides whether a request may be answered: whom it is meant for, who sends it, and how much they may have."""

from collections.abc import Iterable
from functools import partial
from typing import Protocol

from starlette import types
from starlette.routing import compile_path

from chainzrule.service.api.access.clients import Clients
from chainzrule.service.api.access.failures import Failures
from chainzrule.service.api.access.hosts import Hosts
from chainzrule.service.api.access.limits import ClientLimits
from chainzrule.service.api.access.scopes import ANY, OPEN, PREDICT, Scope
from chainzrule.service.api.access.tokenfiles import TokenFiles
from chainzrule.service.api.access.tokens import Token, digest_of
from chainzrule.service.api.incoming import CHARGE_ROWS, Incoming
from chainzrule.service.api.route import Route
from chainzrule.service.errors import ClientLimited, InsufficientScope, Misdirected, ServiceError, Unauthorized
from chainzrule.service.serving.engine import payer

Scopes = frozenset[Scope]


class Caller(Protocol):
    """Stands for a request, whichever door it came through."""

    @property
    def scope(self) -> types.Scope:
        """Returns the caller's address and headers, as ASGI has them."""

    def header(self, name: bytes) -> str | None:
        """Returns a header's value, or None; `name` must be in lower case."""


class Access:
    """Checks requests before any work is done for them.

    Args:
        routes: all routes, which say what scopes they ask for.
        clients: tells who is asking.
        failures: counts wrong tokens.
        hosts: the names by which the service may be called; None where it may be by any.
        tokens: the tokens that are valid; None where nobody needs one.
        limits: what each client may have; None where that is not limited.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        clients: Clients,
        failures: Failures,
        hosts: Hosts | None,
        tokens: TokenFiles | None,
        limits: ClientLimits | None,
    ) -> None:
        self._scopes = _RouteScopes(routes)
        self._clients = clients
        self._failures = failures
        self._hosts = hosts
        self._tokens = tokens
        self._limits = limits

    @property
    def permits_all(self) -> bool:
        """Returns whether there is nothing to check."""
        return self._hosts is None and self._tokens is None and self._limits is None

    def refusal(self, request: Incoming, method: str, path: str, route: str | None) -> ServiceError | None:
        """Returns the error with which a request is refused; None where it may be answered.

        Args:
            request: the request.
            method: its method.
            path: the path as in the routes, without a proxy's prefix.
            route: the path of its route, where that is known already.
        """
        if self._hosts is not None and not self._hosts.take(request.header(b"host")):
            return Misdirected("this service has another name; allowed_hosts lists those it is called by", "Host")
        # OPTIONS reveals nothing, and a browser cannot send the token with a preflight request.
        if (self._tokens is None and self._limits is None) or method == "OPTIONS":
            return None
        return self.refusal_for(request, self._scopes.of(method, path, route))

    def refusal_for(self, caller: Caller, wanted: Scopes) -> ServiceError | None:
        """Returns the error with which a caller is refused what takes one of these scopes, or None."""
        if not wanted:
            return None
        client = None
        if self._tokens is not None:
            token = self._token(caller, self._tokens)
            if isinstance(token, ServiceError):
                return token
            if not wanted & token.scopes:
                return InsufficientScope(f"this token does not permit that; it takes {' or '.join(sorted(wanted))}")
            client = f"token {token.name}"
        if self._limits is not None and wanted == PREDICT:
            return _limit(caller, self._limits, client or self._clients.of(caller.scope))
        return None

    def _token(self, caller: Caller, files: TokenFiles) -> Token | ServiceError:
        scheme, _, given = (caller.header(b"authorization") or "").partition(" ")
        given = given.strip()
        if scheme.lower() != "bearer" or not given:
            return Unauthorized("send Authorization: Bearer with a token of this service")
        found = files.tokens.get(digest_of(given.encode("latin-1")))
        return self._failures.refusal(self._clients.of(caller.scope)) if found is None else found


def _limit(caller: Caller, limits: ClientLimits, client: str) -> ServiceError | None:
    """Has a client pay for its request; returns an error where it has nothing left."""
    try:
        limits.admit(client)
    except ClientLimited as error:
        return error
    caller.scope[CHARGE_ROWS] = partial(limits.charge_rows, client)
    payer.set(partial(limits.charge_seconds, client))
    return None


class _RouteScopes:
    """Finds what a request's route asks for, by the patterns of FastAPI's own routing."""

    def __init__(self, routes: Iterable[Route]) -> None:
        listed = list(routes)
        self._fixed = {(route.method, route.path): route.scopes for route in listed}
        self._patterns = [
            (route.method, compile_path(route.path)[0], route.scopes) for route in listed if "{" in route.path
        ]
        self._open = frozenset(path for (_, path), scopes in self._fixed.items() if not scopes)

    def of(self, method: str, path: str, route: str | None) -> Scopes:
        """Returns the scopes, one of which it takes; a path without a route takes any, so that nobody can explore."""
        method = "GET" if method == "HEAD" else method
        found = self._fixed.get((method, route or path))
        if found is not None:
            return found
        if path in self._open:  # with a method that it does not take
            return OPEN
        return next(
            (scopes for asked, pattern, scopes in self._patterns if asked == method and pattern.match(path)), ANY
        )
