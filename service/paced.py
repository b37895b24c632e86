"""Reads connections so slowly that little of what they send waits in memory, and none keeps the event loop busy."""

import asyncio
from abc import abstractmethod
from typing import Any, NamedTuple

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from chainzrule.service.turns import Flow, Turns

# Bytes that are parsed at a time, except in bodies. Requests that arrive before the answers to others wait as bytes and
# not as objects, which take a hundred times as much memory, and the time that it takes to make them.
PIECE = 2**10


# Up to so many bytes are parsed at once where they have few slashes: every request has one, in its protocol's version.
SMALL = 2**14
FEW_SLASHES = 16


class Waiting(NamedTuple):
    """Says how many bytes lie in a connection, and since when, by the event loop's clock."""

    since: float
    size: int


class PacedProtocol(HttpToolsProtocol):
    """Extends uvicorn's protocol: requests are parsed one after the other, and large uploads take turns.

    Args:
        config: uvicorn's configuration.
        server_state: what the server's connections share.
        app_state: what the application's lifespan has left for requests.
        _loop: the event loop; None takes the running one.
        turns: the turns in which large uploads go on.
    """

    flow: Flow
    stalled_since: float | None = None  # when the client stopped reading what is sent
    _held_since = 0.0
    _body_bytes = 0  # of the latest request's body, so far
    _rest: bytes | memoryview = b""  # what has arrived and is not parsed, because a request waits before it

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        turns: Turns | None = None,
    ) -> None:
        super().__init__(config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        self._turns = turns or Turns()

    @abstractmethod
    def take(self, data: bytes | memoryview) -> None:
        """Parses the next bytes that arrived; an extension of this class says how."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes control of the reading."""
        super().connection_made(transport)
        self.flow = Flow(transport, self.loop, self._turns)

    def data_received(self, data: bytes) -> None:
        """Parses received bytes, until a request waits for the answer to another."""
        if not self.pipeline and _holds_few_requests(data):
            self.take(data)
        else:
            self._rest = memoryview(b"".join((self._rest, data)) if self._rest else data)
            self._parse_rest()
        if self.pipeline:
            self._held_since = self.loop.time()
            self.flow.hold()

    def pause_writing(self) -> None:
        """Notes that the client does not read what is sent."""
        self.stalled_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Notes that the client has read on."""
        self.stalled_since = None
        super().resume_writing()

    def waiting(self) -> Waiting | None:
        """Returns what lies here until the client reads on or has an answer; None where that is next to nothing."""
        if self.stalled_since is not None:
            unsent = 0 if self.cycle is None else self.cycle.expected_content_length
            return Waiting(self.stalled_since, self.transport.get_write_buffer_size() + unsent + len(self._rest))
        return Waiting(self._held_since, len(self._rest)) if self._rest else None

    def on_message_begin(self) -> None:
        """Starts counting the bytes of a body."""
        super().on_message_begin()
        self._body_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Passes a part of the body on. What is left of a body whose request is answered already waits for its turn."""
        self._body_bytes += len(body)
        super().on_body(body)
        if self.cycle.response_complete:
            self.flow.pause_reading()
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """Goes on with what waited for this answer, when it is this connection's turn."""
        if self.flow.held:
            self._turns.ask(self.loop, self._go_on)
        else:
            self.flow.resume_reading()

    def read_on(self) -> None:
        """Reads on, after nothing was read while requests waited."""
        self.flow.let_go()

    def drop_rest(self) -> None:
        """Forgets what was not parsed yet."""
        self._rest = b""

    def _go_on(self) -> None:
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        self._parse_rest()
        if not self.pipeline and not self._rest:
            self.read_on()

    def _parse_rest(self) -> None:
        while self._rest and not self.pipeline:
            size = max(PIECE, self._missing())
            piece, self._rest = self._rest[:size], self._rest[size:]
            self.take(piece)

    def _missing(self) -> int:
        """Returns how many bytes belong to the body that is arriving, where its request said so."""
        if self.cycle is not None and self.cycle.more_body:
            for name, value in self.cycle.scope["headers"]:
                if name == b"content-length":
                    return int(value) - self._body_bytes
        return 0


def _holds_few_requests(data: bytes) -> bool:
    return len(data) <= PIECE or (len(data) <= SMALL and data.count(b"/") <= FEW_SLASHES)
