"""Writes logs as one JSON object a line on standard error, with the id of the request that they belong to.

Nothing that logs ever waits: lines are written by a thread, what nobody reads in time is lost and counted, and of
warnings that repeat themselves so many a minute are written and the rest are counted.
"""

import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

from chainzrule.service.telemetry.lines import LineWriter, writing_to
from chainzrule.service.telemetry.repeats import SECONDS, Repeats

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

FLUSH_SECONDS = 2.0  # the longest that the end of the process waits for a reader of the log
_OWN = __name__  # the logger of what is said about the log itself


class _RequestId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if (current := request_id.get()) is not None:
            record.request_id = current
        record.__dict__.pop("color_message", None)  # uvicorn adds a second copy of its message
        return True


class LogHandler(logging.Handler):
    """Turns records into lines and hands them to a writer.

    Args:
        write: writes bytes; it may block, or raise `OSError`.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        super().__init__()
        self._repeats = Repeats()
        self._writer = LineWriter(write, self._due)
        self._closing = False
        self.addFilter(_RequestId())
        self.setFormatter(
            JsonFormatter(
                "%(levelname)s %(name)s %(message)s",
                rename_fields={"levelname": "level", "name": "logger"},
                timestamp="time",
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Has a record written, unless it says what was said too often."""
        if record.levelno >= logging.WARNING and not self._repeats.admit(_kind(record)):
            return
        try:
            line = self._line(record)
        except Exception:
            self.handleError(record)
            return
        self._writer.put(line)

    def flush(self) -> None:
        """Waits until everything is written, but not longer than `FLUSH_SECONDS`."""
        self._writer.flush(FLUSH_SECONDS)

    def close(self) -> None:
        """Writes what waits, as far as `FLUSH_SECONDS` allow."""
        self._closing = True
        self._writer.close(FLUSH_SECONDS)
        super().close()

    def begin_anew(self) -> None:
        """Begins anew in a forked process."""
        self._repeats = Repeats()
        self._writer.begin_anew()

    def lost(self) -> dict[str, int]:
        """Returns the number of lines that were not written, by reason."""
        return {"unread": self._writer.lost, "repeated": self._repeats.left_out}

    def _due(self, lost: int) -> list[bytes]:
        """Returns the lines about what was not written."""
        said = [_record("log lines were lost, because nobody read them in time", lines=lost)] if lost else []
        for kind, count in self._repeats.take_over(self._closing).items():
            text = f"a warning was left out that came over and over within {SECONDS:.0f} seconds"
            said.append(_record(text, warning=str(kind[1] if isinstance(kind, tuple) else "others"), lines=count))
        return [self._line(record) for record in said]

    def _line(self, record: logging.LogRecord) -> bytes:
        return self.format(record).encode(errors="backslashreplace") + b"\n"


def _kind(record: logging.LogRecord) -> Hashable:
    """Returns what repeated records have in common: who says it, and the text before anything is filled in."""
    return record.name, record.msg if isinstance(record.msg, str) else type(record.msg).__name__


def _record(message: str, **facts: Any) -> logging.LogRecord:
    return logging.getLogger(_OWN).makeRecord(_OWN, logging.WARNING, "", 0, message, (), None, extra=facts)


_handler: LogHandler | None = None


def configure_logs(level: str) -> LogHandler:
    """Sends every log of this process, uvicorn's and Python's warnings too, through one handler; returns it."""
    global _handler
    if _handler is not None:
        _handler.close()
    _handler = handler = LogHandler(_writing_to(sys.stderr))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    warnings.showwarning = _log_warning
    return handler


def lost_lines() -> dict[str, int]:
    """Returns the number of log lines of this process that were not written, by reason."""
    return _handler.lost() if _handler is not None else {"unread": 0, "repeated": 0}


def _writing_to(stream: TextIO | None) -> Callable[[bytes], None]:
    """Returns what writes to a stream; where it has one, to its file descriptor, as a stream's lock may be held."""
    if stream is None:  # standard error is closed, and its number may be that of any file by now
        return lambda data: None
    try:
        return writing_to(stream.fileno())
    except io.UnsupportedOperation:
        return lambda data: print(data.decode(), end="", file=stream)


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Logs what Python warns of."""
    place = f"{Path(filename).name}:{lineno}"
    logging.getLogger("py.warnings").warning(str(message), extra={"category": category.__name__, "place": place})


def _begin_anew() -> None:
    if _handler is not None:
        _handler.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
