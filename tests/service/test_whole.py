"""Bodies and answers in one piece: only where nothing has to be awaited, and as the usual way would write them."""

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from chainzrule.service.whole import answer_whole, take_whole

pytestmark = pytest.mark.anyio

HEADERS = [(b"content-length", b"2"), (b"x-a", b"b")]


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += bytes(data)


def cycle(method: str = "POST", keep_alive: bool = True) -> tuple[RequestResponseCycle, Transport, list[str]]:
    transport, done = Transport(), list[str]()
    made = RequestResponseCycle(
        scope={"method": method, "type": "http", "headers": []},  # type: ignore[typeddict-item]
        transport=transport,
        flow=FlowControl(transport),
        logger=logging.getLogger("x"),
        access_logger=logging.getLogger("x"),
        access_log=False,
        default_headers=[(b"date", b"today")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: done.append("answered"),
    )
    return made, transport, done


async def test_a_body_is_taken_once_all_of_it_is_there() -> None:
    made, _, _ = cycle()
    made.body += b"half"
    assert take_whole(made) is None
    made.body += b" and half"
    made.more_body = False
    made.message_event.set()
    assert take_whole(made) == b"half and half"
    assert made.body == b""
    assert not made.message_event.is_set()
    for state in ("disconnected", "response_complete"):
        made, _, _ = cycle()
        made.more_body = False
        setattr(made, state, True)
        assert take_whole(made) is None


async def test_an_answer_in_one_piece_is_what_the_usual_way_writes() -> None:
    made, transport, done = cycle()
    assert answer_whole(made, 200, HEADERS, b"ok")
    assert done == ["answered"]
    assert made.response_complete
    assert made.message_event.is_set()
    usual, other, _ = cycle()
    await usual.send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await usual.send({"type": "http.response.body", "body": b"ok", "more_body": False})
    assert transport.written == other.written


async def test_an_answer_that_must_wait_or_be_another_is_left_to_the_usual_way() -> None:
    closing, head = cycle(keep_alive=False), cycle("HEAD")
    gone, stalled = cycle(), cycle()
    gone[0].disconnected = True
    stalled[0].flow.pause_writing()
    for made, transport, done in (closing, head, gone, stalled):
        assert not answer_whole(made, 200, HEADERS, b"ok")
        assert (transport.written, done, made.response_started) == (b"", [], False)
