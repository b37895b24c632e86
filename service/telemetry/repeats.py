"""Limits how often the same thing is said, and counts what was left out."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

MOST = 100  # lines of one kind within `SECONDS`
SECONDS = 60.0
KINDS = 1000  # the most kinds that are told apart; all beyond are one


@dataclass
class _Span:
    end: float
    said: int = 0
    left_out: int = 0


class Repeats:
    """Counts what was said of each kind within the span of time that began with the first of them, in any thread.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._spans: dict[Hashable, _Span] = {}
        self._over: dict[Hashable, int] = {}
        self.left_out = 0

    def admit(self, kind: Hashable) -> bool:
        """Returns whether one more of a kind may be said."""
        with self._lock:
            if kind not in self._spans and len(self._spans) >= KINDS:
                kind = None
            now = self._clock()
            span = self._spans.get(kind)
            if span is None or span.end <= now:
                self._end(kind)
                span = self._spans[kind] = _Span(now + SECONDS)
            if span.said < MOST:
                span.said += 1
                return True
            span.left_out += 1
            self.left_out += 1
            return False

    def take_over(self, all_of_them: bool = False) -> dict[Hashable, int]:
        """Returns how many of each kind were left out in the spans that are over, or in all, and forgets these."""
        with self._lock:
            now = self._clock()
            for kind in [kind for kind, span in self._spans.items() if all_of_them or span.end <= now]:
                self._end(kind)
            over, self._over = self._over, {}
            return over

    def _end(self, kind: Hashable) -> None:
        span = self._spans.pop(kind, None)
        if span is not None and span.left_out:
            self._over[kind] = self._over.get(kind, 0) + span.left_out
