"""Work in steps: at once, and in a thread that stops when nobody waits for it."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from chainzrule.service.api.bodies.steps import Steps, StepThread, run_steps

pytestmark = pytest.mark.anyio


@pytest.fixture
def thread() -> Iterator[StepThread]:
    made = StepThread()
    yield made
    made.close()


def count(steps: int, seen: list[str]) -> Steps[int]:
    for _ in range(steps):
        seen.append(threading.current_thread().name)
        yield
    return steps


def failing() -> Steps[int]:
    yield
    raise ValueError("the second step fails")


def test_work_is_done_at_once() -> None:
    seen: list[str] = []
    assert run_steps(count(3, seen)) == 3
    assert seen == [threading.current_thread().name] * 3
    with pytest.raises(ValueError, match="second"):
        run_steps(failing())


async def test_work_is_done_by_one_thread(thread: StepThread) -> None:
    seen: list[str] = []
    assert await asyncio.gather(thread.run(count(2, seen)), thread.run(count(3, seen))) == [2, 3]
    assert len(set(seen)) == 1
    assert threading.current_thread().name not in seen
    with pytest.raises(ValueError, match="second"):
        await thread.run(failing())


async def test_work_that_nobody_waits_for_stops(thread: StepThread) -> None:
    steps, ended = 0, threading.Event()

    def endless() -> Steps[None]:
        nonlocal steps
        try:
            while True:
                steps += 1
                time.sleep(0.001)
                yield
        finally:
            ended.set()

    task = asyncio.create_task(thread.run(endless()))
    while steps < 3:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 20)
    assert await thread.run(count(1, [])) == 1  # the thread does other work again


async def test_work_that_has_not_begun_is_not_begun_for_nobody(thread: StepThread) -> None:
    going, seen = threading.Event(), list[str]()

    def holding() -> Steps[None]:
        going.wait(20)
        yield

    first, second = (asyncio.create_task(thread.run(steps)) for steps in (holding(), count(1, seen)))
    await asyncio.sleep(0.01)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    going.set()
    await first
    assert await thread.run(count(1, [])) == 1
    assert seen == []
