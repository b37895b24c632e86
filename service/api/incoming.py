"""A request and an answer, as light as the hot routes need them."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from chainzrule.service.api.deadlines import BodyDeadlines
from chainzrule.service.protocol import ON_DISCONNECT, WHOLE_BODY

_NOTHING: dict[str, Any] = {}
Headers = tuple[tuple[bytes, bytes], ...]


class Incoming(Request):
    """Starlette's request, with its headers looked up without scanning and decoding them all each time.

    Attributes:
        bodies: what ends the reading of its body at its deadline.
        gone: whether its client has gone, and `follow_client` has cancelled the task that answers.
    """

    gone = False

    def __init__(self, scope: Scope, receive: Receive, bodies: BodyDeadlines) -> None:
        super().__init__(scope, receive)
        self.bodies = bodies
        self._by_name: dict[bytes, bytes] = dict(scope["headers"])

    def whole_body(self) -> bytes | None:
        """Returns the body as it was sent, where the server has all of it already; else None."""
        take = self.scope.get("extensions", _NOTHING).get(WHOLE_BODY)
        return None if take is None else take()

    def follow_client(self) -> None:
        """Has the current task cancelled when the client goes away."""
        task = asyncio.current_task()
        watch = self.scope.get("extensions", _NOTHING).get(ON_DISCONNECT)
        if watch is None or task is None:
            return

        def leave() -> None:
            self.gone = True
            task.cancel()

        watch(leave)

    def header(self, name: bytes) -> str | None:
        """Returns a header's value, or None; `name` is in lower case."""
        value = self._by_name.get(name)
        return None if value is None else value.decode("latin-1")


class Answer(Response):
    """Starlette's response, with its headers written as they will be sent."""

    def __init__(
        self,
        content: bytes,
        status: int = 200,
        content_type: bytes = b"application/json",
        headers: Headers = (),
    ) -> None:
        self.status_code = status
        self.body = content
        self.background = None
        self.raw_headers = [
            (b"content-length", str(len(content)).encode()),
            (b"content-type", content_type),
            *headers,
        ]
