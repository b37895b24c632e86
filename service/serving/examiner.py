"""Has model versions examined in processes of their own, before this one opens them."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import Any

from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.errors import ArtifactError
from chainzrule.service.serving.examination import Order
from chainzrule.service.serving.forks import Forks

log = logging.getLogger(__name__)

IDLE_SECONDS = 10.0  # after which the forking process is ended; the next examination starts another
STUCK_SECONDS = 10.0  # beyond the deadline, after which the forking process itself must be stuck
PRINTED_BYTES = 4096  # of what a version prints, that are logged
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from chainzrule.service.serving.forks import main; main(0)"


class Examiner:
    """Examines versions within limits of time and memory; it may be used on several event loops."""

    def __init__(self, seconds: float, memory: int) -> None:
        """Makes an examiner, whose forking process starts with the first examination.

        Args:
            seconds: the longest time that an examination may take.
            memory: the bytes of address space that it may take beyond the bare process.
        """
        self.seconds = seconds
        self.memory = memory
        self._control: socket.socket | None = None
        self._pid = 0
        self._starting = threading.Lock()
        self._running = 0
        self._idle_since = time.monotonic()

    def fork(self) -> None:
        """Forks the forking process from this one, which saves it its imports.

        It must be called while this process has one thread, no event loop and no open model.
        """
        here, there = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                here.close()
                Forks(there).run()
            finally:
                os._exit(0)
        there.close()
        self._control = here

    async def examine(self, stored: StoredVersion) -> str:
        """Returns the digest of a version that may be served; raises `ArtifactError` for one that must not."""
        here, there = socket.socketpair()
        printing, output = socket.socketpair()
        with here, printing:
            with there, output:
                self._send(stored, [there.fileno(), output.fileno()])
            for one in (here, printing):
                one.setblocking(False)
            self._running += 1
            try:
                async with asyncio.timeout(self.seconds + STUCK_SECONDS):
                    found, printed = await asyncio.gather(_read(here), _read(printing))
            except TimeoutError:
                self.close()
                raise ArtifactError(f"took longer than {self.seconds:g} s to load and check") from None
            finally:
                self._running -= 1
                self._idle_since = time.monotonic()
                asyncio.get_running_loop().call_later(IDLE_SECONDS, self._rest)
        if printed:
            about = {"model": stored.name, "version": stored.version, "printed": printed.decode(errors="replace")}
            log.warning("a model version printed something while it was examined", extra=about)
        return self._digest(found)

    def close(self) -> None:
        """Ends the forking process, and with it every examination."""
        with self._starting:
            control, self._control = self._control, None
            pid, self._pid = self._pid, 0
        if control is None:
            return
        control.close()
        end = time.monotonic() + 1.0
        with contextlib.suppress(ChildProcessError):  # whoever embeds this may wait for all children
            while os.waitpid(pid, os.WNOHANG)[0] == 0:
                if time.monotonic() > end:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.001)

    def _digest(self, found: bytes) -> str:
        """Returns what an examination says of a version; raises `ArtifactError` where it is nothing good."""
        said: dict[str, Any] = {}
        for line in found.splitlines():
            with contextlib.suppress(ValueError):
                said |= json.loads(line)
        if "digest" in said:
            return str(said["digest"])
        if "refused" in said:
            raise ArtifactError(said["refused"], said.get("place"))
        ended = said.get("ended")
        if said.get("late"):
            raise ArtifactError(
                f"took longer than {self.seconds:g} s to load and check; the setting load_timeout admits more"
            )
        if ended is None:
            raise ArtifactError("the process that examined it was interrupted")
        if ended == -signal.SIGKILL:
            raise ArtifactError("the process that examined it was killed, probably because memory was short")
        how = signal.Signals(-ended).name if ended < 0 else f"status {ended}"
        raise ArtifactError(f"the process that examined it ended with {how}")

    def _send(self, stored: StoredVersion, descriptors: list[int]) -> None:
        """Orders an examination, from a new forking process where there is none or the last one has ended."""
        path = str(stored.path.absolute())
        message = Order(stored.name, stored.version, path, self.seconds, self.memory).encode()
        try:
            socket.send_fds(self._started(), [message], descriptors)
        except OSError:
            self.close()
            socket.send_fds(self._started(), [message], descriptors)

    def _started(self) -> socket.socket:
        with self._starting:
            if self._control is None:
                here, there = socket.socketpair()
                with there:
                    actions = [(os.POSIX_SPAWN_DUP2, there.fileno(), 0)]
                    arguments = [sys.executable, "-c", _PROGRAM, *sys.path]
                    self._pid = os.posix_spawn(sys.executable, arguments, os.environ, file_actions=actions)
                self._control = here
            return self._control

    def _rest(self) -> None:
        if not self._running and time.monotonic() - self._idle_since >= IDLE_SECONDS - 0.1:
            self.close()


async def _read(reader: socket.socket) -> bytes:
    """Returns the first bytes that a socket has before its other end is closed."""
    loop = asyncio.get_running_loop()
    found = b""
    while piece := await loop.sock_recv(reader, 65536):
        if len(found) < PRINTED_BYTES:
            found += piece[: PRINTED_BYTES - len(found)]
    return found
