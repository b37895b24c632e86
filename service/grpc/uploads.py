"""Receives messages, only so many at a time: gRPC says nothing of a message before all of it has arrived.

A call that waits for its turn holds no more than one window of flow control. Where others wait, the message that has
been arriving longest is given up once it has had its time.
"""

import asyncio
from collections.abc import Awaitable, Callable

from chainzrule.service.api.bodies.deadlines import BodyDeadlines, current_task
from chainzrule.service.errors import Overloaded

PATIENCE = 2.0  # seconds that a message may arrive while others wait


class Uploads:
    """Holds the messages that are arriving. It is used on the event loop alone.

    Args:
        most: how many may arrive at a time.
        deadlines: ends what takes too long.
        patience: the seconds after which a message is given up where others wait.
    """

    def __init__(self, most: int, deadlines: BodyDeadlines, patience: float = PATIENCE) -> None:
        self._turns = asyncio.Semaphore(most)
        self._deadlines = deadlines
        self._patience = patience
        self._arriving: dict[asyncio.Task[object], float] = {}  # since when, the oldest first

    async def receive(self, read: Callable[[], Awaitable[object]], deadline: float) -> object:
        """Returns what `read` returns, a message, once it has arrived; `deadline` is by the event loop's clock.

        Raises:
            DeadlineExceeded: it has not arrived by the deadline.
            Overloaded: it was slow, and others needed the room.
        """
        return await self._deadlines.keep(self._receive(read), deadline)

    async def _receive(self, read: Callable[[], Awaitable[object]]) -> object:
        while self._turns.locked():
            try:
                await asyncio.wait_for(self._turns.acquire(), self._patience / 4)
                break
            except TimeoutError:
                self._give_up()
        else:
            await self._turns.acquire()
        task = current_task()
        self._arriving[task] = asyncio.get_running_loop().time()
        try:
            return await read()
        finally:
            del self._arriving[task]
            self._turns.release()

    def _give_up(self) -> None:
        overdue = asyncio.get_running_loop().time() - self._patience
        for task, since in list(self._arriving.items()):
            if since <= overdue:
                self._deadlines.stop(task, _ended)
                return


def _ended() -> Overloaded:
    return Overloaded("the message was given up, because it was slow and others needed the room; try again")
