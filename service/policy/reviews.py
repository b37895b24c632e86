"""Sends rows that a person is to look at to a file or to an address. Nothing that answers ever waits for that."""

import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from chainzrule.service.policy.policies import Destination
from chainzrule.service.telemetry.lines import LineWriter, writing_to

log = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0  # the longest that the end of the process waits for what is still to be sent
POST_SECONDS = 10.0  # the longest that one attempt to post takes
PAUSES = (1.0, 5.0)  # seconds before each further attempt
NOTHING_DUE: tuple[bytes, ...] = ()


class Reviews:
    """Sends each row as one line of JSON, from a thread of its own; what waits too long is lost, and counted."""

    def __init__(self) -> None:
        """Begins without a destination."""
        self._destination: Destination | None = None
        self._writer: LineWriter | None = None
        self._lost_before = 0

    @property
    def lost(self) -> int:
        """Returns the number of rows that could not be sent so far."""
        return self._lost_before + (0 if self._writer is None else self._writer.lost)

    @property
    def takes_inputs(self) -> bool:
        """Returns whether the rows' inputs are to be sent along."""
        return self._destination is not None and self._destination.inputs

    def send_to(self, destination: Destination | None) -> None:
        """Sends to this destination from now on; what waits still goes to the one before."""
        if destination == self._destination:
            return
        self.close(0.0)
        self._destination = destination
        if destination is not None:
            self._writer = LineWriter(_writing(destination), lambda lost: NOTHING_DUE, "reviews")

    def add(self, record: dict[str, Any]) -> None:
        """Has one row sent."""
        if self._writer is None:
            return
        try:
            self._writer.put(orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))
        except orjson.JSONEncodeError:  # an input that JSON cannot write must not cost its caller the answer
            self._lost_before += 1

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Waits until everything is sent, but not longer than so many seconds, and takes no more."""
        if self._writer is not None:
            self._writer.close(seconds)
            self._lost_before += self._writer.lost
            self._writer = None


def _writing(destination: Destination) -> Callable[[bytes], None]:
    if destination.file is not None:
        return _appending(destination.file)
    assert destination.webhook is not None
    return _posting(destination.webhook)


def _appending(path: Path) -> Callable[[bytes], None]:
    def append(lines: bytes) -> None:
        # Opened each time, so that the file may be moved away; readable to its owner alone, as it may hold inputs.
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                writing_to(descriptor)(lines)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.error("rows for review were lost", extra={"file": str(path), "reason": error.strerror})
            raise

    return append


def _posting(address: str) -> Callable[[bytes], None]:
    def post(lines: bytes) -> None:
        request = urllib.request.Request(
            address, lines, {"Content-Type": "application/x-ndjson", "User-Agent": "chainzrule"}, method="POST"
        )
        for pause in (*PAUSES, None):
            try:
                with urllib.request.urlopen(request, timeout=POST_SECONDS):
                    return
            except OSError as error:
                # What the other side says is not logged: it may repeat what it was sent.
                status = error.code if isinstance(error, urllib.error.HTTPError) else None
                refused = status is not None and 400 <= status < 500 and status not in (408, 429)
                if pause is None or refused:
                    kind = type(error).__name__
                    log.error("rows for review were lost", extra={"status": status, "error": kind})
                    raise
                time.sleep(pause)

    return post
