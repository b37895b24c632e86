"""uvicorn's HTTP protocol, with bounds on what a client may hold without asking anything, and whole answers at once."""

import asyncio
import logging
import resource
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

log = logging.getLogger(__name__)

HEADER_SECONDS = 10.0  # for a request's header to be whole, from its first byte or the connection's start
WRITE_SECONDS = 30.0  # for a client to take what is waiting to be sent
HEADER_BYTES = 2**16
HEADERS = 128
SWEEP_SECONDS = 1.0
# ASGI extensions of a request: its `take_whole` and its `answer_whole`.
WHOLE_BODY = "chainzrule.whole_body"
WHOLE_ANSWER = "chainzrule.whole_answer"
# And who wants to know when its client is gone; one request of a connection is answered at a time.
ON_DISCONNECT = "chainzrule.on_disconnect"

Headers = Sequence[tuple[bytes, bytes]]


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    # What is left of the process's file descriptors once models, logs and the rest have theirs.
    max_connections = max(16, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 64)
    _header_since: float | None = None
    _stalled_since: float | None = None
    _in_header = False  # or behind the last chunk, where what are called trailers stand
    _header_bytes = 0
    _header_alone = True
    _idle_since: float | None = None
    _lost: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the time to the first header; refuse connections beyond the bound."""
        super().connection_made(transport)
        self._expect_header()
        if len(self.connections) > self.max_connections:
            log.warning("too many connections: one was refused", extra={"connections": len(self.connections)})
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever answers that nobody waits for it."""
        super().connection_lost(exc)
        if self._lost is not None:
            self._lost()
            self._lost = None

    def data_received(self, data: bytes) -> None:
        """Take in bytes; a header may have so many, not counting those that came along with another message."""
        self._header_alone = True
        try:
            self._parse(data)
        except httptools.HttpParserError:
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)
            return
        if self._in_header and self._header_alone:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._refuse()

    def on_message_begin(self) -> None:
        """A header begins."""
        super().on_message_begin()
        self._idle_since = None
        self._expect_header()

    def on_headers_complete(self) -> None:
        """The header is whole."""
        if len(self.headers) > HEADERS:
            raise ValueError("too many headers")  # the parser turns it into a 400
        if self._upgrades():
            return
        self._header_since = None
        self._in_header = False
        super().on_headers_complete()
        self.headers = []  # trailers are not what the header says, and nobody reads them
        # As ASGI has servers offer more than it knows; the application has not begun to run.
        extensions: dict[str, Any] = {
            WHOLE_BODY: partial(take_whole, self.cycle),
            WHOLE_ANSWER: partial(answer_whole, self.cycle),
            ON_DISCONNECT: self._when_lost,
        }
        self.scope["extensions"] = extensions

    def on_chunk_header(self) -> None:
        """A chunk begins, or trailers, which may be as long as a header."""
        self._in_header = True
        self._header_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Take in a part of the body."""
        self._in_header = self._header_alone = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._upgrades():
            return
        self._in_header = self._header_alone = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The next pipelined request's turn; without one the connection idles, which the sweep ends."""
        self._lost = None
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._header_since is None:  # else the next request has begun
            self._idle_since = self.loop.time()

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        self._stalled_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client goes on reading."""
        self._stalled_since = None
        super().resume_writing()

    def overdue(self, now: float) -> bool:
        """Whether the client has kept the connection waiting too long."""
        bounds = (
            (self._header_since, HEADER_SECONDS),
            (self._stalled_since, WRITE_SECONDS),
            (self._idle_since, self.timeout_keep_alive),
        )
        return any(since is not None and now - since > seconds for since, seconds in bounds)

    def _when_lost(self, tell: Callable[[], None]) -> None:
        self._lost = tell

    def _expect_header(self) -> None:
        self._header_since = self.loop.time()
        self._in_header = True
        self._header_bytes = 0

    def _refuse(self) -> None:
        self._header_since = None
        self._in_header = False
        if not self.transport.is_closing():
            self.send_400_response("The request's header is too large.")

    def _parse(self, data: bytes) -> None:
        """Have bytes parsed, passing over upgrades, as of every cleartext request of Java's client.

        The parser takes what follows an upgrade's header for the other protocol: another one reads it as a request
        that asks for none, and goes on with its body.
        """
        rest = memoryview(data)
        while True:
            try:
                self.parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
                version = self.parser.get_http_version().encode()
                parts = [self.parser.get_method(), b" ", self.url, b" HTTP/", version, b"\r\n"]
                for name, value in self.headers:
                    if name != b"upgrade":
                        parts += (name, b": ", value, b"\r\n")
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                self.parser.feed_data(b"".join((*parts, b"\r\n")))

    def _upgrades(self) -> bool:
        """Whether this header is to be read once more, by `_parse`; CONNECT has no other meaning."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"


def take_whole(cycle: RequestResponseCycle) -> bytes | None:
    """The request's body, where all of it is there; None where it must be received message by message."""
    if cycle.more_body or cycle.disconnected or cycle.response_complete:
        return None
    body = bytes(cycle.body)
    cycle.body = bytearray()
    cycle.message_event.clear()
    return body


def answer_whole(cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> bool:
    """Write an answer in one piece, headers unchecked; False where it must go the usual way, message by message.

    `headers` include the content's length, and nothing that came from outside unchecked.
    """
    if cycle.disconnected or cycle.flow.write_paused or not cycle.keep_alive or cycle.scope["method"] == "HEAD":
        return False
    cycle.response_started = cycle.response_complete = True
    parts = [STATUS_LINE[status]]
    for name, value in chain(cycle.default_headers, headers):
        parts += (name, b": ", value, b"\r\n")
    parts += (b"\r\n", body)
    cycle.transport.write(b"".join(parts))
    cycle.message_event.set()
    cycle.on_response()
    return True


async def sweep(connections: "set[Any]") -> None:
    """Close overdue connections, until cancelled."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        now = asyncio.get_running_loop().time()
        for connection in [connection for connection in connections if connection.overdue(now)]:
            connection.transport.abort()
