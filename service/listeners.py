"""Opens what the server listens on: the addresses of a host, or a socket in the file system."""

import contextlib
import errno
import ipaddress
import os
import socket
import stat
from pathlib import Path

# Who may connect to a socket in the file system: its owner and its group. Its folder may narrow that further.
PERMISSIONS = 0o660


def listen(host: str, port: int) -> list[socket.socket]:
    """Listens on every address that a host stands for; `::` stands for all addresses of both families.

    Raises:
        OSError: one of the addresses is not available.
    """
    listeners: list[socket.socket] = []
    named = None if host in ("", "::") else host
    with contextlib.ExitStack() as opened:
        found = socket.getaddrinfo(named, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = opened.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # IPv4 gets a socket of its own
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if listeners and not port:  # all addresses share the free port that the first one got
                address = (address[0], listeners[0].getsockname()[1], *address[2:])
            listener.bind(address)
            listener.listen()
            listeners.append(listener)
        opened.pop_all()
    return listeners


def listen_at(path: Path) -> socket.socket:
    """Listens on a socket in the file system, with `PERMISSIONS`; replaces one that a process left behind.

    Raises:
        OSError: the path cannot be used, holds something else, or another process listens there.
    """
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o777 & ~PERMISSIONS)
    try:
        listener.bind(os.fspath(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(mask)
    listener.listen()
    return listener


def is_exposed(listener: socket.socket) -> bool:
    """Returns whether other machines may reach a listener."""
    if listener.family == socket.AF_UNIX:
        return False
    return not ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def _remove_stale(path: Path) -> None:
    """Removes a socket on which nobody listens; raises `OSError` where the path holds anything else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "there is a file that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, "another process listens there")
