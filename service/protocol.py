"""Extends the HTTP protocol with bounds on slow or idle clients, and with bodies and answers in one piece."""

import asyncio
import logging
import resource
from collections.abc import Callable
from functools import partial
from typing import Any

import httptools

from chainzrule.service.framing import CHUNKS_TOO_SMALL, FRAMING, HEADERS, NOT_HTTP, TOO_LARGE, Fault, fault_of, refusal
from chainzrule.service.memory import KEPT_BYTES, give_back_freed_memory
from chainzrule.service.paced import PacedProtocol
from chainzrule.service.unread import waited_too_long
from chainzrule.service.whole import WHOLE_ANSWER, WHOLE_BODY, answer_whole, take_whole

log = logging.getLogger(__name__)

HEADER_SECONDS = 10.0  # the longest that a header may take, from its first byte or the connection's start
WRITE_SECONDS = 30.0  # the longest that a client may not read what is waiting to be sent
# A client that only has nothing more to ask closes its half of the connection right behind its request. One that
# closes later has given up waiting, and its work is dropped.
HALF_CLOSE_SECONDS = 0.2
HEADER_BYTES = 2**16
# Each chunk of a body takes some of the event loop's time, whatever it holds: this many may be as small as can be, and
# one more for every so many bytes.
SMALL_CHUNKS = 2**12
CHUNK_BYTES = 16
SWEEP_SECONDS = 1.0
# This ASGI extension of a request takes the function to call when the client disconnects. A connection has at most one,
# because its requests are answered one at a time.
ON_DISCONNECT = "chainzrule.on_disconnect"


class BoundedProtocol(PacedProtocol):
    """Serves one connection."""

    # The process's limit of file descriptors, less some for models, logs and all else.
    max_connections = max(16, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 64)
    _header_since: float | None = None
    _in_header = False  # also true in the trailers, which follow the last chunk
    _header_bytes = 0
    _header_alone = True
    _chunks_left = SMALL_CHUNKS
    _idle_since: float | None = None
    _lost: Callable[[], None] | None = None
    _hosts = 0
    _encodings: tuple[bytes, ...] = ()
    _asked_at = 0.0  # when the last byte of the latest whole request arrived
    _fault: Fault | None = None  # with which the latest header is refused
    _upgrades = False  # whether `_parse` will read the latest header again, without the upgrade
    # What ends the connection once the requests before it are answered; nothing more is read from then on.
    _end: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the time limit of the first header; refuses the connection where there are too many."""
        super().connection_made(transport)
        self._expect_header()
        if len(self.connections) > self.max_connections:
            log.warning("too many connections: one was refused", extra={"connections": len(self.connections)})
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the request that is being answered that its client is gone."""
        super().connection_lost(exc)
        if self._lost is not None:
            self._lost()
            self._lost = None

    def data_received(self, data: bytes) -> None:
        """Parses received bytes, but nothing behind what ends the connection."""
        if self._end is None:
            super().data_received(data)

    def take(self, data: bytes | memoryview) -> None:
        """Parses bytes; refuses headers longer than `HEADER_BYTES`.

        Bytes of a header that arrived together with those of another message are not counted.
        """
        self._header_alone = True
        try:
            self._parse(data)
        except httptools.HttpParserError:
            fault = self._fault or NOT_HTTP
            log.warning("request refused", extra={"status": fault[0], "reason": fault[1]})
            self.drop_rest()
            self._finish(partial(self._refuse, fault))
            return
        if self._in_header and self._header_alone:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._finish(partial(self._refuse, TOO_LARGE))

    def eof_received(self) -> bool:  # type: ignore[override]
        """Returns whether the connection stays open, for a client that has asked and only says that this was all."""
        if self._end is None:
            in_time = self.loop.time() - self._asked_at <= HALF_CLOSE_SECONDS
            if not in_time or not self._waits():
                return False
            self._finish(self.transport.close)
        return True

    def on_message_begin(self) -> None:
        """Starts the time limit of the header that begins."""
        super().on_message_begin()
        self._idle_since = None
        self._hosts, self._encodings = 0, ()
        self._chunks_left = SMALL_CHUNKS
        self._expect_header()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header, or a trailer."""
        name = name.lower()
        self.headers.append((name, value))
        if name in FRAMING:
            if name == b"host":
                self._hosts += 1
            elif name == b"transfer-encoding":
                self._encodings += (value,)
            elif value.lower() == b"100-continue":
                self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """Ends the header's time limit and starts the request; raises `ValueError` where the header is refused."""
        self._upgrades = bool(self.parser.should_upgrade())
        if self._upgrades or self._encodings or self._hosts != 1 or len(self.headers) > HEADERS:
            self._fault = fault_of(self.parser, len(self.headers), self._hosts, self._encodings)
            if self._fault is not None:
                raise ValueError  # the parser raises an error of its own for it
            if self._upgrades:
                return
        self._header_since = None
        self._in_header = False
        super().on_headers_complete()
        self.headers = []  # trailers would be appended to the list, which is the request's own by now
        # ASGI lets servers offer extensions in the scope. The application has not started yet, so it will see them.
        extensions: dict[str, Any] = {
            WHOLE_BODY: partial(take_whole, self.cycle),
            WHOLE_ANSWER: partial(answer_whole, self.cycle),
            ON_DISCONNECT: self._when_lost,
        }
        self.scope["extensions"] = extensions

    def on_chunk_header(self) -> None:
        """Starts counting bytes, because trailers may begin here; raises `ValueError` where chunks hold too little."""
        if self._chunks_left <= 0:
            self._fault = CHUNKS_TOO_SMALL
            raise ValueError  # the parser raises an error of its own for it
        self._chunks_left -= 1
        self._in_header = True
        self._header_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Passes a part of the body on."""
        self._in_header = self._header_alone = False
        self._chunks_left += len(body) // CHUNK_BYTES
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Passes the end of the request on."""
        if self._upgrades:
            return
        self._in_header = self._header_alone = False
        self._asked_at = self.loop.time()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Starts the next pipelined request; without one the connection becomes idle, which has a time limit."""
        self._lost = None
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._idle_since = self.loop.time()  # bounds the time in which the client reads the rest
            return
        if self._end is not None and (not self.pipeline or self.pipeline[-1][0].more_body):
            self._idle_since = self.loop.time()
            self._end()
            return
        super().on_response_complete()
        if self.cycle.response_complete and self._header_since is None:  # else the next header has begun
            self._idle_since = self.loop.time()

    def read_on(self) -> None:
        """Reads on; what the client did meanwhile was not seen, so that its times begin now."""
        self._asked_at = self.loop.time()
        if self._header_since is not None:
            self._header_since = self._asked_at
        super().read_on()

    def overdue(self, now: float) -> bool:
        """Returns whether the client has exceeded one of the connection's time limits."""
        bounds = (
            (None if self.flow.held else self._header_since, HEADER_SECONDS),  # it is not the client that holds
            (self.stalled_since, WRITE_SECONDS),
            (self._idle_since, self.timeout_keep_alive),
        )
        return any(since is not None and now - since > seconds for since, seconds in bounds)

    def _when_lost(self, tell: Callable[[], None]) -> None:
        self._lost = tell

    def _expect_header(self) -> None:
        self._header_since = self.loop.time()
        self._in_header = True
        self._header_bytes = 0

    def _waits(self) -> bool:
        """Returns whether a whole request waits for its answer."""
        if self.cycle is None or self.cycle.response_complete:
            return False
        return bool(self.pipeline) or not self.cycle.more_body

    def _finish(self, end: Callable[[], None]) -> None:
        """Ends the connection by calling `end`, once the whole requests that have arrived are answered."""
        self._header_since = self._idle_since = None
        self._in_header = False
        if self._waits():
            self._end = end
        else:
            end()

    def _refuse(self, fault: Fault) -> None:
        """Refuses what came last, and closes the connection."""
        if not self.transport.is_closing():
            self.transport.write(refusal(fault, self.server_state.default_headers))
            self._idle_since = self.loop.time()  # bounds the time in which the client reads it
            self.transport.close()

    def _parse(self, data: bytes | memoryview) -> None:
        """Parses bytes, ignoring protocol upgrades, for which Java's client asks in every cleartext request.

        The parser stops after the header of an upgrade, because the other protocol would follow. A new parser reads
        the header again without the upgrade, and goes on with the body.
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


async def sweep(connections: "set[Any]", most_waiting: int) -> None:
    """Closes overdue connections every `SWEEP_SECONDS`, and those in which too much lies, until it is cancelled.

    Memory goes back to the kernel whenever far less lies in them than did.

    Args:
        connections: the open connections.
        most_waiting: the bytes that may lie in all of them until clients go on.
    """
    peak = 0
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        waiting = sum(found.size for connection in connections if (found := connection.waiting()) is not None)
        if peak - waiting > KEPT_BYTES // 4:
            peak = waiting
            await asyncio.to_thread(give_back_freed_memory)
        peak = max(peak, waiting)
        now = asyncio.get_running_loop().time()
        overdue = [connection for connection in connections if connection.overdue(now)]
        for connection in (*overdue, *waited_too_long(connections, most_waiting)):
            connection.transport.abort()
