"""Bodies on their way: whole where they are small, else in pieces that are together what was to be sent."""

import pytest
from starlette.types import Message

from chainzrule.service.api.sending import PIECE, send_body

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1, 5 * PIECE - 1])
async def test_pieces_are_together_the_body(size: int, more: bool) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    body = bytes(number % 251 for number in range(size))
    await send_body(send, {"type": "http.response.body", "body": body, "more_body": more})
    assert b"".join(message["body"] for message in sent) == body
    assert len(sent) == max(1, -(-size // PIECE))
    assert max(len(message["body"]) for message in sent) <= PIECE
    assert [message["more_body"] for message in sent] == [True] * (len(sent) - 1) + [more]
    assert {message["type"] for message in sent} == {"http.response.body"}


async def test_a_message_without_a_body_is_sent_as_it_is() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await send_body(send, {"type": "http.response.body"})
    assert sent == [{"type": "http.response.body"}]
