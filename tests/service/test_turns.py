"""Turns: a few in each turn of the event loop, in order, and none for a connection that no longer wants it."""

import asyncio

import pytest

from chainzrule.service.turns import AT_ONCE, Flow, Turns

pytestmark = pytest.mark.anyio


class Transport(asyncio.Transport):
    """Notes whether it is read."""

    reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def flows(count: int) -> tuple[list[Flow], list[Transport]]:
    turns, transports = Turns(), [Transport() for _ in range(count)]
    return [Flow(transport, asyncio.get_running_loop(), turns) for transport in transports], transports


async def test_those_that_wait_go_on_a_few_at_a_time() -> None:
    paused, transports = flows(2 * AT_ONCE + 3)
    for flow in paused:
        flow.pause_reading()
    for flow in reversed(paused):
        flow.resume_reading()
        flow.resume_reading()  # asking twice is asking once
    seen = []
    for _ in range(6):
        seen.append([transport.reading for transport in transports].count(True))
        await asyncio.sleep(0)
        assert [transport.reading for transport in transports] == sorted(transport.reading for transport in transports)
    assert seen == [0, 0, AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 3, 2 * AT_ONCE + 3]


async def test_who_is_paused_again_before_its_turn_stays_paused() -> None:
    (one, other), (transport, _) = flows(2)
    one.pause_reading()
    one.resume_reading()
    one.pause_reading()
    for _ in range(3):
        await asyncio.sleep(0)
    assert not transport.reading
    assert one.read_paused
    one.resume_reading()
    one.pause_reading()
    one.resume_reading()
    other.pause_reading()
    other.resume_reading()
    for _ in range(3):
        await asyncio.sleep(0)
    assert transport.reading
    assert not one.read_paused
    assert not other.read_paused


async def test_a_connection_that_is_not_paused_needs_no_turn() -> None:
    (flow,), (transport,) = flows(1)
    flow.resume_reading()
    flow.pause_reading()
    await asyncio.sleep(0)
    assert not transport.reading


async def test_a_turn_that_fails_keeps_nobody_waiting() -> None:
    turns, loop, called = Turns(), asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda *_: called.append("failed"))
    turns.ask(loop, lambda: 1 // 0)
    turns.ask(loop, lambda: called.append("next"))
    for _ in range(4):
        await asyncio.sleep(0)
    assert called == ["failed", "next"]
