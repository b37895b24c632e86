"""Bounds the bytes of answers that wait for clients to read them, of all connections together."""

from collections.abc import Iterable
from typing import Any

UNREAD_BYTES = 2**25


def stalled_too_long(connections: Iterable[Any], most: int = UNREAD_BYTES) -> list[Any]:
    """Returns the connections to end, so that no more than `most` bytes wait: those that stalled first."""
    stalled = sorted(
        (connection for connection in connections if connection.stalled_since is not None),
        key=lambda connection: float(connection.stalled_since),
    )
    sizes = [connection.transport.get_write_buffer_size() for connection in stalled]
    waiting = sum(sizes)
    ended = []
    for connection, size in zip(stalled, sizes, strict=True):
        if waiting <= most:
            break
        ended.append(connection)
        waiting -= size
    return ended
