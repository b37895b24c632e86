"""Holds one call as the methods see it."""

import random
import re
from collections.abc import Sequence
from typing import Protocol

from starlette.types import Scope

from chainzrule.service.api.incoming import CHARGE_ROWS
from chainzrule.service.budget import Budget, Holding

_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Rpc(Protocol):
    """Is what the methods use of gRPC's own view of a call, `grpc.aio.ServicerContext`."""

    async def read(self) -> object:
        """Returns the next message, or `grpc.aio.EOF`."""

    async def write(self, message: bytes) -> None:
        """Sends a message of a stream."""

    async def abort(self, code: object, details: str, trailing_metadata: Sequence[tuple[str, str]]) -> None:
        """Ends the call with an error; always raises."""

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]] | None:
        """Returns what HTTP calls headers."""

    def set_trailing_metadata(self, trailing_metadata: Sequence[tuple[str, str]]) -> None:
        """Sets what is sent behind the answer."""

    def peer(self) -> str:
        """Returns the other end's address."""

    def time_remaining(self) -> float | None:
        """Returns the seconds that the caller still allows; None where it sets no deadline."""

    def done(self) -> bool:
        """Returns whether the call is over already."""


class Call:
    """Holds who calls, until when, and the bytes that are held for it.

    Attributes:
        rpc: gRPC's own view of the call.
        holding: the bytes that are held for it.
        deadline: when its time runs out, by the event loop's clock.
        identity: the caller's request id, or a random one.
    """

    def __init__(self, rpc: Rpc, budget: Budget) -> None:
        self.rpc = rpc
        self.holding = Holding(budget)
        self.deadline = 0.0
        self._headers = {name: value for name, value in rpc.invocation_metadata() or () if isinstance(value, str)}
        given = self._headers.get("x-request-id")
        self.identity = given if given and _ID.fullmatch(given) else f"{random.getrandbits(128):032x}"
        self._scope: Scope | None = None

    @property
    def scope(self) -> Scope:
        """Returns the caller's address and headers as ASGI has them, by which clients are told apart."""
        if self._scope is None:
            headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in self._headers.items()]
            self._scope = {"client": _address(self.rpc.peer()), "headers": headers}
        return self._scope

    def header(self, name: bytes) -> str | None:
        """Returns a header's value, which gRPC calls metadata; None where there is none."""
        return self._headers.get(name.decode())

    def charge_rows(self, rows: int) -> None:
        """Has the client pay for rows before they run; raises `ClientLimited` where it has had too many."""
        charge = None if self._scope is None else self._scope.get(CHARGE_ROWS)
        if charge is not None:
            charge(rows)


def _address(peer: str) -> tuple[str, int] | None:
    """Returns the address in gRPC's name of a peer, such as `ipv4:10.0.0.1:4000` or `ipv6:%5B::1%5D:4000`."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return None
    host, _, port = rest.rpartition(":")
    return host.replace("%5B", "").replace("%5D", "").strip("[]"), int(port) if port.isdecimal() else 0
