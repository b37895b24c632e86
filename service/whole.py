"""Takes the body of a request, and writes an answer, in one piece where that is possible."""

from collections.abc import Sequence
from itertools import chain

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

# These ASGI extensions of a request give its `take_whole` and its `answer_whole`.
WHOLE_BODY = "chainzrule.whole_body"
WHOLE_ANSWER = "chainzrule.whole_answer"

Headers = Sequence[tuple[bytes, bytes]]


def take_whole(cycle: RequestResponseCycle) -> bytes | None:
    """Returns the request's body, where all of it has arrived; None where it must be received message by message."""
    if cycle.more_body or cycle.disconnected or cycle.response_complete:
        return None
    body = bytes(cycle.body)
    cycle.body = bytearray()
    cycle.message_event.clear()
    return body


def answer_whole(cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> bool:
    """Writes an answer in one piece; returns False where it must be sent the usual way, message by message.

    `headers` are written unchecked: they must include the content's length, and nothing unchecked from outside.
    """
    if cycle.disconnected or cycle.flow.write_paused or not cycle.keep_alive or cycle.scope["method"] == "HEAD":
        return False
    cycle.response_started = cycle.response_complete = True
    parts = [STATUS_LINE[status]]
    for name, value in chain(cycle.default_headers, headers):
        parts += (name, b": ", value, b"\r\n")
    parts += (b"\r\n", body)
    cycle.transport.write(b"".join(parts))
    cycle.message_event.set()
    cycle.on_response()
    return True
