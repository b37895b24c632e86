"""A request and an answer, as light as the hot routes need them."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from service.api.deadlines import BodyDeadlines

Headers = tuple[tuple[bytes, bytes], ...]


class Incoming(Request):
    """Starlette's request, with its headers looked up without scanning and decoding them all each time.

    Attributes:
        bodies: what ends the reading of its body at its deadline.
    """

    def __init__(self, scope: Scope, receive: Receive, bodies: BodyDeadlines) -> None:
        super().__init__(scope, receive)
        self.bodies = bodies
        self._by_name: dict[bytes, bytes] = dict(scope["headers"])

    def header(self, name: bytes) -> str | None:
        """A header's value; `name` in lower case."""
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
