"""Stops reading bodies that do not arrive in time, with one sweep over all of them instead of a timer for each."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from chainzrule.service.errors import DeadlineExceeded, ServiceError

SWEEP_SECONDS = 0.25

Body = TypeVar("Body")


class BodyDeadlines:
    """Holds the deadlines of the bodies that are being read. It is used on the event loop alone."""

    def __init__(self) -> None:
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._stopped: dict[asyncio.Task[Any], Callable[[], ServiceError]] = {}

    async def keep(self, reading: Awaitable[Body], deadline: float) -> Body:
        """Awaits the reading of a body, and returns the body.

        Raises:
            DeadlineExceeded: the body was not read by the deadline, which is by the event loop's clock.
            ServiceError: the reading was stopped for this reason.
        """
        task = current_task()
        self._reading[task] = deadline
        try:
            return await reading
        except asyncio.CancelledError:
            reason = self._stopped.get(task)
            if reason is None:
                raise
            task.uncancel()
            # No variable may hold the error: its traceback holds this frame, and that of what has been read.
            raise reason() from None
        finally:
            self._reading.pop(task, None)
            self._stopped.pop(task, None)

    def stop(self, task: asyncio.Task[Any], reason: Callable[[], ServiceError]) -> None:
        """Stops the reading that a task is awaiting, for which `keep` then raises what `reason` returns."""
        if self._reading.pop(task, None) is not None:
            self._stopped[task] = reason
            task.cancel()

    async def sweep(self) -> None:
        """Stops the reading of overdue bodies every `SWEEP_SECONDS`, until it is cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = asyncio.get_running_loop().time()
            for task in [task for task, deadline in self._reading.items() if deadline <= now]:
                self.stop(task, _overdue)


def _overdue() -> ServiceError:
    return DeadlineExceeded("the request's time ran out before its body was read", "body")


def current_task() -> asyncio.Task[Any]:
    """Returns the task that reads."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("bodies are read by tasks")
    return task
