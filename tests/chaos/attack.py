"""Runs one kind of abuse against a port of this machine, bounded in clients, bytes and time, in a process of its own.

`python -m tests.chaos.attack PORT SECONDS KIND` prints what came of it as JSON. The process is niced, because a real
attack's clients take no time from the server's machine.
"""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.chaos.abuse import ABUSES, Abuse
from tests.processes import ROOT

PIECE = 2**16  # bytes sent at a time
CONNECTION_COSTS = 200  # bytes that opening a connection counts for


class Budget:
    """Lets all clients together send so many bytes a second."""

    def __init__(self, bytes_a_second: int) -> None:
        self._pace = 1.0 / bytes_a_second
        self._free = time.monotonic()

    async def take(self, count: int) -> None:
        """Wait until so many bytes may be sent."""
        now = time.monotonic()
        self._free = max(self._free, now - 0.05) + count * self._pace
        if self._free > now:
            await asyncio.sleep(self._free - now)


class Attack:
    """Clients that go on until the time is over."""

    def __init__(self, port: int, abuse: Abuse) -> None:
        self.outcomes: Counter[str] = Counter()
        self.sent = 0
        self._port = port
        self._abuse = abuse
        self._message = abuse.message()
        self._budget = Budget(abuse.bytes_a_second)

    async def run(self, seconds: float) -> None:
        """All clients, for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(self._client() for _ in range(self._abuse.clients)))

    async def _client(self) -> None:
        while True:
            await self._budget.take(CONNECTION_COSTS)
            with socket.socket() as connection:
                connection.setblocking(False)
                if self._abuse.reads is not None:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                try:
                    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self._port))
                    self.outcomes["connections"] += 1
                    while await self._ask(connection):
                        pass
                except OSError as error:
                    self.outcomes[type(error).__name__] += 1
                    await asyncio.sleep(0.05)

    async def _ask(self, connection: socket.socket) -> bool:
        """Send the message and read what comes of it; returns whether the connection can be used again."""
        loop = asyncio.get_running_loop()
        # A message is paid for as a whole: if clients took turns at its pieces, none would finish a large one.
        await self._budget.take(len(self._message))
        for start in range(0, len(self._message), PIECE):
            piece = self._message[start : start + PIECE]
            await loop.sock_sendall(connection, piece)
            self.sent += len(piece)
        head = b""
        while b"\r\n\r\n" not in head:
            if not (part := await self._receive(connection)):
                self.outcomes["ended without an answer"] += not head
                return False
            head += part
        self.outcomes[head[9:12].decode("latin-1")] += 1
        head, _, rest = head.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        missing = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0) - len(rest)
        while missing > 0 and (part := await self._receive(connection)):
            missing -= len(part)
        return missing <= 0 and b"connection: close" not in lines and not self._abuse.holds

    async def _receive(self, connection: socket.socket) -> bytes:
        if self._abuse.reads is None:
            return await asyncio.get_running_loop().sock_recv(connection, PIECE)
        await asyncio.sleep(1.0)
        return await asyncio.get_running_loop().sock_recv(connection, self._abuse.reads)


@contextlib.contextmanager
def attack(port: int, kind: str, seconds: float) -> Iterator[Counter[str]]:
    """An attack that goes on while the block runs, for so many seconds at most; what came of it is there afterwards."""
    outcomes: Counter[str] = Counter()
    command = ["nice", "-n", "10", sys.executable, "-m", "tests.chaos.attack", str(port), str(seconds), kind]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield outcomes
        text, _ = process.communicate(timeout=seconds + 30)
        outcomes.update(json.loads(text))
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


async def _main(port: int, seconds: float, kind: str) -> None:
    running = Attack(port, ABUSES[kind])
    print("begun", flush=True)
    await running.run(seconds)
    print(json.dumps({**running.outcomes, "bytes": running.sent}))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]))
