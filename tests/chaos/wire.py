"""Requests as bytes on a socket, and what comes back, to the byte."""

import contextlib
import re
import socket
from dataclasses import dataclass
from typing import Self

PATIENCE = 30.0  # seconds of silence after which an answer counts as missing


@dataclass(frozen=True)
class Answer:
    """One whole answer."""

    status: int
    headers: dict[str, str]
    content: bytes


class Wire:
    """A connection on which one request after the other is answered; a closed one is opened again.

    Attributes:
        connections: how many were opened so far.
    """

    def __init__(self, port: int) -> None:
        self.connections = 0
        self._port = port
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, request: bytes) -> Answer:
        """Send a well-formed request; `OSError` where no whole answer comes."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
        try:
            self._socket.sendall(request)
            answer = self._read(self._socket, head_only=request.startswith(b"HEAD "))
        except OSError:
            self.close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def _read(self, connection: socket.socket, head_only: bool) -> Answer:
        received = b""
        while b"\r\n\r\n" not in received:
            received += _more(connection)
        head, _, content = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if 100 <= status < 200:
            raise OSError(f"an interim answer with status {status}")
        length = 0 if head_only or status in (204, 304) else int(headers["content-length"])
        while len(content) < length:
            content += _more(connection)
        if len(content) > length:
            raise OSError("there is something behind the answer")
        return Answer(status, headers, content)


def _more(connection: socket.socket) -> bytes:
    if part := connection.recv(2**18):
        return part
    raise ConnectionResetError("the connection ended before the answer did")


def exchanged(port: int, sent: bytes) -> tuple[list[int], bytes]:
    """Send anything and close that half; returns the statuses of what comes back until the end, and all of it.

    Raises:
        TimeoutError: the server holds on to the connection.
    """
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(2**18):
                received += part
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)], received
