"""Lets uploads go on one after the other, so that however many arrive at once, each turn of the event loop is short."""

import asyncio
from collections import deque
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl

# So many go on in each turn of the event loop: enough that the uploads of a few clients share one run of their model,
# and so few that the pieces of up to 256 KiB that arrive for them take the loop a few milliseconds.
AT_ONCE = 8


class Turns:
    """Calls `AT_ONCE` of those who wait in each turn of the event loop, in the order in which they asked."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def ask(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        """Has `call` called when it is its turn."""
        self._waiting.append(call)
        if len(self._waiting) == 1:
            loop.call_soon(self._next, loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(min(AT_ONCE, len(self._waiting))):
            loop.call_soon(self._waiting.popleft())
        if self._waiting:
            loop.call_soon(self._next, loop)


class Flow(FlowControl):
    """Controls a connection as uvicorn does, except that reading that was paused goes on when it is its turn.

    Reading is paused while a body of more than 64 KiB waits to be taken, so that only large uploads, and requests
    that are sent before the answers to others, ever wait for a turn.

    Attributes:
        held: whether reading stays paused, whoever wants to go on.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, turns: Turns) -> None:
        super().__init__(transport)
        self._loop = loop
        self._turns = turns
        self._asked = False  # whether a turn is coming
        self._wanted = False  # whether it is still wanted when it comes
        self.held = False

    def pause_reading(self) -> None:
        """Stops reading from the connection, and gives up a turn that is still to come."""
        self._wanted = False
        super().pause_reading()

    def resume_reading(self) -> None:
        """Reads on when it is this connection's turn, unless it is paused again before."""
        if not self.read_paused or self.held:
            return
        self._wanted = True
        if not self._asked:
            self._asked = True
            self._turns.ask(self._loop, self._go_on)

    def hold(self) -> None:
        """Stops reading until `let_go` is called."""
        self.held = True
        self.pause_reading()

    def let_go(self) -> None:
        """Reads on when it is this connection's turn."""
        self.held = False
        self.resume_reading()

    def _go_on(self) -> None:
        self._asked = False
        if self._wanted:
            self._wanted = False
            super().resume_reading()
