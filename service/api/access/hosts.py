"""Takes only requests that were meant for this server, by the name in their Host header.

A page can have its own name resolve to this server's address, and then call it as if it were the page's own origin (DNS
rebinding). The Host header gives that away. An address in place of a name never does: no name is rebound there.
"""

from collections.abc import Collection
from ipaddress import ip_address

ALL = "*"
_KNOWN = 256  # different Host headers that are remembered


class Hosts:
    """Decides which Host headers are right.

    Args:
        names: the names by which this server may be called; `*.example.com` stands for all names below that one.
    """

    def __init__(self, names: Collection[str]) -> None:
        lowered = [name.lower().rstrip(".") for name in names]
        self._names = frozenset(name for name in lowered if not name.startswith("*."))
        self._endings = tuple(name[1:] for name in lowered if name.startswith("*."))
        self._all = ALL in lowered
        self._right: set[str] = set()

    def take(self, host: str | None) -> bool:
        """Returns whether a Host header is right; without one a request is no browser's, and is taken."""
        if host is None or host in self._right:
            return True
        right = self._has(_name_of(host))
        if right and len(self._right) < _KNOWN:
            self._right.add(host)
        return right

    def _has(self, name: str) -> bool:
        return self._all or name in self._names or name.endswith(self._endings) or _is_address(name)


def names_beside(host: str) -> tuple[str, ...] | None:
    """Returns by which names a server that listens on `host` is called; None where that cannot be known."""
    if host == "localhost" or (_is_address(host) and ip_address(host).is_loopback):
        return ("localhost", "*.localhost")
    return None


def _name_of(authority: str) -> str:
    """Returns the name in `name:port`, in lower case and without brackets."""
    if authority.startswith("["):
        inside = authority[1:].partition("]")[0]
        return inside if ":" in inside else ""
    return authority.partition(":")[0].lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
