"""Bounds the bytes that lie in connections: answers that nobody reads, and requests sent ahead of answers."""

from collections.abc import Iterable
from typing import Any

# Connections may hold this part, one in so many, of `max_held_bytes`, in addition to what requests hold.
SHARE = 3


def waited_too_long(connections: Iterable[Any], most: int) -> list[Any]:
    """Returns the connections to end, so that no more than `most` bytes lie in them: those that began to wait first."""
    waiting = [(found, connection) for connection in connections if (found := connection.waiting()) is not None]
    waiting.sort(key=lambda one: one[0].since)
    total = sum(found.size for found, _ in waiting)
    ended = []
    for found, connection in waiting:
        if total <= most:
            break
        ended.append(connection)
        total -= found.size
    return ended
