"""Shows a progress bar on standard error, if that is a terminal."""

import sys
import time
from types import TracebackType
from typing import Self, TextIO

WIDTH = 30  # characters
EVERY = 0.1  # seconds between two updates


class Progress:
    """Shows the progress of a piece of work; shows nothing where standard error is no terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty()
        self._begin = time.monotonic()
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._stream.write("\r\033[K")
            self._stream.flush()

    def show(self, share: float, rows: int) -> None:
        """Draws the bar for a fraction of the work, 0 to 1, and the number of rows so far."""
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next = now + EVERY
        full = round(WIDTH * share)
        seconds = now - self._begin
        left = f", {seconds / share - seconds:.0f} s left" if share > 0.01 else ""
        self._stream.write(f"\r\033[K{'█' * full}{'░' * (WIDTH - full)} {share:4.0%}, {rows:,} rows{left}")
        self._stream.flush()
