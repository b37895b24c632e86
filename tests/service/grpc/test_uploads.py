"""Only so many messages arrive at a time, and slow ones make room where others wait."""

import asyncio

import pytest

from chainzrule.service.api.bodies.deadlines import BodyDeadlines
from chainzrule.service.errors import DeadlineExceeded, Overloaded
from chainzrule.service.grpc.uploads import Uploads

pytestmark = pytest.mark.anyio


async def never() -> object:
    return await asyncio.Event().wait()


async def at_once() -> object:
    return b"message"


def later(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_messages_come_as_they_are() -> None:
    uploads = Uploads(1, BodyDeadlines())
    assert await uploads.receive(at_once, later(60)) == b"message"
    assert await uploads.receive(at_once, later(60)) == b"message"


async def test_a_slow_message_makes_room_where_others_wait() -> None:
    uploads = Uploads(1, BodyDeadlines(), patience=0.05)
    slow = asyncio.create_task(uploads.receive(never, later(600)))
    await asyncio.sleep(0.2)
    assert not slow.done()  # nobody waits yet
    assert await uploads.receive(at_once, later(60)) == b"message"
    with pytest.raises(Overloaded, match="slow"):
        await slow


async def test_a_message_that_does_not_arrive_in_time_is_given_up() -> None:
    deadlines = BodyDeadlines()
    sweep = asyncio.create_task(deadlines.sweep())
    uploads = Uploads(1, deadlines)
    with pytest.raises(DeadlineExceeded):
        await uploads.receive(never, later(0.01))
    assert await uploads.receive(at_once, later(60)) == b"message"
    sweep.cancel()


async def test_who_is_cancelled_leaves_its_turn() -> None:
    uploads = Uploads(1, BodyDeadlines(), patience=60)
    slow = asyncio.create_task(uploads.receive(never, later(600)))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(uploads.receive(never, later(600)))
    await asyncio.sleep(0)
    waiting.cancel()
    slow.cancel()
    await asyncio.wait((slow, waiting))
    assert await asyncio.wait_for(uploads.receive(at_once, later(60)), 30) == b"message"
