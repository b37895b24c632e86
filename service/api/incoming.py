"""Defines a request and an answer that are light enough for the hot routes."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from chainzrule.service.api.bodies.reading import Reading
from chainzrule.service.budget import Holding
from chainzrule.service.protocol import ON_DISCONNECT
from chainzrule.service.whole import WHOLE_BODY

JSON = "application/json"
OCTETS = "application/octet-stream"
FORM = "application/x-www-form-urlencoded"  # as curl calls whatever it is told no content type of
_NOTHING: dict[str, Any] = {}
_USUAL_MEDIA = {media.encode(): media for media in (JSON, OCTETS)}  # nearly all clients write them exactly like this
CHARGE_ROWS = "chainzrule.charge_rows"  # a key of the scope, which is there where clients are limited
Headers = tuple[tuple[bytes, bytes], ...]


class Incoming(Request):
    """Extends Starlette's request with header lookups that do not scan and decode all headers each time.

    Attributes:
        reading: what the reading of all bodies shares.
        holding: the bytes that are held for this request.
        gone: whether the client has disconnected, so that `follow_client` has cancelled the task that answers.
    """

    gone = False

    def __init__(self, scope: Scope, receive: Receive, reading: Reading) -> None:
        super().__init__(scope, receive)
        self.reading = reading
        self.holding = Holding(reading.budget)
        self._by_name: dict[bytes, bytes] = dict(scope["headers"])

    @property
    def media_type(self) -> str | None:
        """Returns the content type without its parameters, in lower case; None where there is none."""
        given = self._by_name.get(b"content-type")
        if given is None:
            return None
        return _USUAL_MEDIA.get(given) or given.decode("latin-1").partition(";")[0].strip().lower()

    def whole_body(self) -> bytes | None:
        """Returns the body as it was sent, if all of it has arrived already; else None."""
        take = self.scope.get("extensions", _NOTHING).get(WHOLE_BODY)
        return None if take is None else take()

    def follow_client(self) -> None:
        """Makes the server cancel the current task when the client disconnects."""
        task = asyncio.current_task()
        watch = self.scope.get("extensions", _NOTHING).get(ON_DISCONNECT)
        if watch is None or task is None:
            return

        def leave() -> None:
            self.gone = True
            task.cancel()

        watch(leave)

    def charge_rows(self, rows: int) -> None:
        """Has the client pay for rows before they run; raises `ClientLimited` where it has had too many."""
        charge = self.scope.get(CHARGE_ROWS)
        if charge is not None:
            charge(rows)

    def header(self, name: bytes) -> str | None:
        """Returns a header's value, or None; `name` must be in lower case."""
        value = self._by_name.get(name)
        return None if value is None else value.decode("latin-1")


class Answer(Response):
    """Extends Starlette's response by taking the headers as the bytes that are sent."""

    def __init__(
        self,
        content: bytes,
        status: int = 200,
        content_type: bytes | None = b"application/json",
        headers: Headers = (),
    ) -> None:
        self.status_code = status
        self.body = content
        self.background = None
        length = (b"content-length", b"%d" % len(content))
        self.raw_headers = (
            [length, *headers] if content_type is None else [length, (b"content-type", content_type), *headers]
        )
