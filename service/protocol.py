"""uvicorn's HTTP protocol with bounds on what a client may hold without asking anything: time, headers, connections."""

import asyncio
import logging
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = logging.getLogger(__name__)

HEADER_SECONDS = 10.0  # for a request's header to be whole, from its first byte or the connection's start
WRITE_SECONDS = 30.0  # for a client to take what is waiting to be sent
HEADER_BYTES = 2**16
HEADERS = 128
SWEEP_SECONDS = 1.0


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    # What is left of the process's file descriptors once models, logs and the rest have theirs.
    max_connections = max(16, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 64)
    _header_since: float | None = None
    _stalled_since: float | None = None
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the time to the first header; refuse connections beyond the bound."""
        super().connection_made(transport)
        self._expect_header()
        if len(self.connections) > self.max_connections:
            log.warning("too many connections: one was refused", extra={"connections": len(self.connections)})
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take in bytes; a header may have so many."""
        super().data_received(data)
        if self._header_since is not None:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._refuse()

    def on_message_begin(self) -> None:
        """A header begins."""
        super().on_message_begin()
        self._expect_header()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in one header."""
        super().on_header(name, value)
        if len(self.headers) > HEADERS:
            raise ValueError("too many headers")  # the parser turns it into a 400

    def on_headers_complete(self) -> None:
        """The header is whole."""
        self._header_since = None
        super().on_headers_complete()

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
        return (self._header_since is not None and now - self._header_since > HEADER_SECONDS) or (
            self._stalled_since is not None and now - self._stalled_since > WRITE_SECONDS
        )

    def _expect_header(self) -> None:
        self._header_since = self.loop.time()
        self._header_bytes = 0

    def _refuse(self) -> None:
        self._header_since = None
        if not self.transport.is_closing():
            self.send_400_response("The request's header is too large.")

    def _unsupported_upgrade_warning(self) -> None:
        """Upgrades are passed over; a line for each would let anyone fill the log."""


async def sweep(connections: "set[Any]") -> None:
    """Close overdue connections, until cancelled."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        now = asyncio.get_running_loop().time()
        for connection in [connection for connection in connections if connection.overdue(now)]:
            connection.transport.abort()
