"""Stops reading bodies that do not arrive in time, with one sweep over all of them instead of a timer for each."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from chainzrule.service.errors import DeadlineExceeded

SWEEP_SECONDS = 0.25

Body = TypeVar("Body")


class BodyDeadlines:
    """Holds the deadlines of the bodies that are being read. It is used on the event loop alone."""

    def __init__(self) -> None:
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._expired: set[asyncio.Task[Any]] = set()

    async def keep(self, reading: Awaitable[Body], deadline: float) -> Body:
        """Awaits the reading of a body, and returns the body.

        Raises:
            DeadlineExceeded: the body was not complete by the deadline, which is by the event loop's clock.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("bodies are read by tasks")
        self._reading[task] = deadline
        try:
            return await reading
        except asyncio.CancelledError:
            if task not in self._expired:
                raise
            task.uncancel()
            raise DeadlineExceeded("the request's time ran out before its body was there", "body") from None
        finally:
            self._reading.pop(task, None)
            self._expired.discard(task)

    async def sweep(self) -> None:
        """Stops the reading of overdue bodies every `SWEEP_SECONDS`, until it is cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = asyncio.get_running_loop().time()
            for task in [task for task, deadline in self._reading.items() if deadline <= now]:
                self._reading.pop(task)
                self._expired.add(task)
                task.cancel()
