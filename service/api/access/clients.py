"""Finds out from which address a request comes, also behind proxies that say for whom they ask."""

import re
from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.types import Scope

LOCAL = "unix"  # stands for the other end of a Unix socket, which has no address
_SHARED_BITS = 64  # of an IPv6 address; a single client has all addresses that begin with the same ones
_FOR = re.compile(r'(?:^|[;,\s])for\s*=\s*("[^"]*"|[^\s;,]+)', re.IGNORECASE)

Address = IPv4Address | IPv6Address


class Clients:
    """Tells clients apart by their addresses.

    Args:
        proxies: the networks whose word on whom they ask for is taken, and `unix` for the other end of a Unix socket.
    """

    def __init__(self, proxies: Collection[str]) -> None:
        self._networks = [ip_network(proxy) for proxy in proxies if proxy != LOCAL]
        self._local = LOCAL in proxies

    def of(self, scope: Scope) -> str:
        """Returns the text that stands for a request's client.

        Behind trusted proxies it is the last address that no trusted proxy has: what stands before it, anybody may
        have written. If X-Forwarded-For and Forwarded disagree the proxies write only one of them, and the other may be
        the client's own, so that neither is believed.
        """
        peer = scope.get("client")
        direct = _address(peer[0]) if peer else None
        if not self._trusts(direct):
            return _text(direct)
        said = {self._last(direct, hops) for hops in _chains(scope) if hops}
        return _text(said.pop() if len(said) == 1 else direct)

    def _last(self, peer: Address | None, hops: list[str]) -> Address | None:
        """Returns the nearest address that is not trusted; the farthest that can be read, where all are."""
        found = peer
        for hop in reversed(hops):
            address = _address(hop)
            if address is None:
                return found
            found = address
            if not self._trusts(address):
                return found
        return found

    def _trusts(self, address: Address | None) -> bool:
        if address is None:
            return self._local
        return any(address in network for network in self._networks)


def _chains(scope: Scope) -> Iterator[list[str]]:
    """Yields the addresses that X-Forwarded-For lists, and those that Forwarded does."""
    for name in (b"x-forwarded-for", b"forwarded"):
        listed = ",".join(value.decode("latin-1") for key, value in scope["headers"] if key == name)
        found = _FOR.findall(listed) if name == b"forwarded" else listed.split(",")
        yield [hop.strip().strip('"') for hop in found if hop.strip()]


def _address(text: str) -> Address | None:
    """Returns an address that may have a port, brackets or a zone; None where it is none."""
    text = text.partition("]")[0].removeprefix("[") if text.startswith("[") else text
    host = text.partition(":")[0] if text.count(":") == 1 else text
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _text(address: Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _SHARED_BITS), strict=False))
    return LOCAL if address is None else str(address)
