"""Receives the bytes of a body, within the limit for each request and the budget for all of them."""

from functools import partial

from starlette.requests import ClientDisconnect

from chainzrule.service.api.bodies.deadlines import current_task
from chainzrule.service.api.incoming import Incoming
from chainzrule.service.errors import Overloaded, TooLarge

_LENGTH_DIGITS = 15  # a Content-Length of more digits is always too large


def take_body(request: Incoming, limit: int) -> bytes | None:
    """Returns the body's bytes as they were sent, if all of them have arrived already; else None.

    Raises:
        TooLarge: the body has more than `limit` bytes.
        Overloaded: the service holds too many bytes.
    """
    body = request.whole_body()
    if body is not None:
        if len(body) > limit:
            raise too_large(limit)
        request.holding.resize(len(body))
    return body


async def receive_body(request: Incoming, limit: int, deadline: float) -> bytes:
    """Returns the body's bytes as they were sent, once they have arrived; `deadline` is by the event loop's clock.

    Raises:
        TooLarge: the body has more than `limit` bytes, whatever Content-Length says.
        Overloaded: the service holds too many bytes; or it ended this upload, the oldest, to hold others.
        DeadlineExceeded: the body was not complete by the deadline.
        ClientDisconnect: the client went away.
    """
    return await request.reading.deadlines.keep(_receive(request, limit), deadline)


def too_large(limit: int) -> TooLarge:
    """Returns the error of a body that is too large."""
    return TooLarge(f"must be at most {limit} bytes, also after decompression", "body")


async def _receive(request: Incoming, limit: int) -> bytes:
    declared = request.header(b"content-length") or ""
    if declared.isdecimal() and (len(declared) > _LENGTH_DIGITS or int(declared) > limit):
        raise too_large(limit)
    holding, stop = request.holding, request.reading.deadlines.stop
    holding.begin(partial(stop, current_task(), _ended))
    chunks: list[bytes] = []
    size = 0
    try:
        while True:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise too_large(limit)
            holding.resize(size)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    finally:
        holding.finish()


def _ended() -> Overloaded:
    return Overloaded("the upload was ended, because it was slow and others needed the room; try again", "body")
