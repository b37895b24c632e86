"""Writes lines by a thread of its own, so that nobody who has something to say waits for those who read it."""

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

WAITING_BYTES = 2**22  # the most that may wait to be written; what comes beyond is lost
PIECE_BYTES = 2**16  # the most that is written at once
# Lines that come within this time are written together, so that a busy server does not change threads for each.
GATHER_SECONDS = 0.01
DUE_SECONDS = 1.0  # between two times at which the thread asks what else is due


class LineWriter:
    """Holds the lines that wait, and the thread that writes them, which begins with the first line.

    Args:
        write: writes bytes, and may take as long as it likes; an error loses them.
        due: returns the lines that the writer is to add by itself; it gets the number of lines that were lost since
            the last time.
        name: the name of the thread.
    """

    def __init__(
        self, write: Callable[[bytes], None], due: Callable[[int], Iterable[bytes]], name: str = "log"
    ) -> None:
        self._write = write
        self._due = due
        self._name = name
        self.lost = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forgets what waits and the thread, as a forked process has to, because neither is its own."""
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._reported = self.lost
        self._thread: threading.Thread | None = None
        self._closed = False

    def put(self, line: bytes) -> None:
        """Has a line written; loses it, and counts that, where too much waits already or the writer was closed."""
        with self._changed:
            if self._closed or self._bytes + len(line) > WAITING_BYTES:
                self.lost += 1
                return
            self._lines.append(line)
            self._bytes += len(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            elif len(self._lines) == 1:
                self._changed.notify_all()

    def flush(self, seconds: float) -> None:
        """Waits until everything is written, but not longer than so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._bytes, seconds)

    def close(self, seconds: float) -> None:
        """Writes what waits and what is due, as far as so many seconds allow, and takes no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _run(self) -> None:
        due_at = time.monotonic() + DUE_SECONDS
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._closed, max(0.0, due_at - time.monotonic()))
                closed, waiting = self._closed, bool(self._lines)
            if waiting and not closed:
                time.sleep(GATHER_SECONDS)
            while waiting:
                waiting = self._write_piece()
            if closed or time.monotonic() >= due_at:
                due_at = time.monotonic() + DUE_SECONDS
                self._write_due()
            if closed:
                return

    def _write_piece(self) -> bool:
        """Writes some of what waits; returns whether there is more."""
        with self._changed:
            piece, size = [], 0
            while self._lines and size < PIECE_BYTES:
                piece.append(self._lines.popleft())
                size += len(piece[-1])
        lost = self._wrote(piece)
        with self._changed:
            self.lost += lost
            self._bytes -= size
            self._changed.notify_all()
            return bool(self._lines)

    def _write_due(self) -> None:
        with self._changed:
            lost, self._reported = self.lost - self._reported, self.lost
        unsaid = self._wrote(list(self._due(lost)))
        if unsaid:
            with self._changed:
                self._reported -= lost

    def _wrote(self, lines: list[bytes]) -> int:
        """Writes lines; returns how many of them were lost."""
        try:
            if lines:
                self._write(b"".join(lines))
        except (OSError, ValueError):  # nobody reads any more, or the stream was closed
            return len(lines)
        return 0


def writing_to(descriptor: int) -> Callable[[bytes], None]:
    """Returns a function that writes all of its bytes to a file descriptor, whether or not that blocks."""

    def write(data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                select.select([], [descriptor], [])

    return write
