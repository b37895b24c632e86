"""Sends load at a fixed rate, whether or not answers come back in time: one thread, bounded connections."""

import asyncio
import statistics
import time
from collections import Counter, deque
from dataclasses import dataclass, field

import uvloop

from benchmarks.serving.servers import Question

PATIENCE = 30.0  # seconds for the last answers


@dataclass
class Flow:
    """Holds what came back; times in seconds.

    Attributes:
        seconds: until the last answer.
        offered: requests that were due.
        skipped: those of them that found every connection busy.
        statuses: answers by status.
        waits: seconds from sending to the whole answer, by status.
    """

    seconds: float
    offered: int = 0
    skipped: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    waits: dict[int, list[float]] = field(default_factory=dict)

    @property
    def goodput(self) -> float:
        """Returns the good answers per second."""
        return self.statuses[200] / self.seconds

    def percentile(self, status: int, percent: int) -> float | None:
        """Returns a percentile of the waits for one status."""
        waits = self.waits.get(status, [])
        return statistics.quantiles(waits, n=100)[percent - 1] if len(waits) > 1 else None


class _Connection(asyncio.Protocol):
    """Sends one request at a time over one connection."""

    def __init__(self, flow: Flow, idle: "deque[_Connection]") -> None:
        self._flow = flow
        self._idle = idle
        self._sent = 0.0
        self._status = 0
        self._missing = 0  # bytes of the answer that are still to come
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def ask(self, request: bytes) -> None:
        self._sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        # HTTP is parsed by hand to save the cores that the server shares; all servers here send a head in one piece.
        if self._missing == 0:
            end = data.index(b"\r\n\r\n") + 4
            head = data[:end].lower()
            self._status = int(head[9:12])
            begin = head.index(b"content-length:") + 15
            self._missing = end + int(head[begin : head.index(b"\r", begin)])
        self._missing -= len(data)
        if self._missing == 0:
            self._flow.statuses[self._status] += 1
            self._flow.waits.setdefault(self._status, []).append(time.perf_counter() - self._sent)
            self._idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._idle:
            self._idle.remove(self)


def flow(address: str, question: Question, rate: float, seconds: float, connections: int) -> Flow:
    """Sends `question` at `rate` per second; requests that find no idle connection are counted, not sent."""
    return uvloop.run(_flow(address, question, rate, seconds, connections))


async def _flow(address: str, question: Question, rate: float, seconds: float, connections: int) -> Flow:
    loop = asyncio.get_running_loop()
    seen, idle = Flow(seconds), deque[_Connection]()
    port = int(address.rpartition(":")[2])
    headers = {**question.headers, "Host": "127.0.0.1", "Content-Length": str(len(question.body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"POST {question.path} HTTP/1.1\r\n{lines}\r\n".encode() + question.body
    every = []
    for _ in range(connections):
        _, made = await loop.create_connection(lambda: _Connection(seen, idle), "127.0.0.1", port)
        idle.append(made)
        every.append(made)
    begin = time.perf_counter()
    while (passed := time.perf_counter() - begin) < seconds:
        due = int(passed * rate) - seen.offered
        seen.offered += due
        for _ in range(due):
            if idle:
                idle.popleft().ask(request)
            else:
                seen.skipped += 1
        await asyncio.sleep(0.001)
    while len(idle) < len(every) and time.perf_counter() - begin < seconds + PATIENCE:  # waits for requests in flight
        await asyncio.sleep(0.001)
    seen.seconds = time.perf_counter() - begin
    for connection in every:
        connection.transport.close()
    return seen
