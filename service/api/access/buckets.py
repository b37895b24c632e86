"""Keeps token buckets, each of which fills at a steady rate and is drawn from by one client."""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST = 10_000


class Buckets:
    """Holds a bucket for each of the clients that drew last, and no more than so many, whoever comes.

    A bucket that has anything in it may be drawn from, and then lacks what was drawn too much. So a single large
    request is served, its client waits the longer for it, and on average nobody gets more than the rate.
    """

    def __init__(
        self, rate: float, capacity: float, most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begins with every bucket full.

        Args:
            rate: how much flows into a bucket in a second.
            capacity: how much a full one holds, at least 1.
            most: how many buckets are kept; beyond that, the one that was drawn from least recently is full again.
            clock: tells the seconds.
        """
        self._rate = rate
        self._capacity = max(1.0, capacity)
        self._most = most
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # the level, and when it was that

    def wait(self, client: str) -> float:
        """Returns after how many seconds a client's bucket holds at least 1; 0 where it does so now."""
        return max(0.0, (1.0 - self._level(client)) / self._rate)

    def draw(self, client: str, amount: float) -> None:
        """Takes an amount from a client's bucket, whether or not it is there."""
        self._levels[client] = (self._level(client) - amount, self._clock())
        self._levels.move_to_end(client)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)

    def _level(self, client: str) -> float:
        found = self._levels.get(client)
        if found is None:
            return self._capacity
        level, since = found
        return min(self._capacity, level + (self._clock() - since) * self._rate)
