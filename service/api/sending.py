"""Sends the bodies of answers, the large ones in pieces.

What was sent lies in the connection until the client has read it, where it cannot be seen how much of it there is if
the connection is encrypted. So the next piece is sent when the client has read the one before.
"""

from starlette.types import Message, Send

PIECE = 2**18  # bytes; a smaller body is sent at once


async def send_body(send: Send, message: Message) -> None:
    """Sends a message that has a body, or a part of one."""
    body = message.get("body", b"")
    for start in range(0, len(body) - PIECE, PIECE):
        await send({**message, "body": body[start : start + PIECE], "more_body": True})
    if len(body) > PIECE:
        message = {**message, "body": body[(len(body) - 1) // PIECE * PIECE :]}
    await send(message)
