"""Work in the background gives its result, and keeps nobody from ending."""

import asyncio
import threading

import pytest

from chainzrule.service.serving.background import in_background

pytestmark = pytest.mark.anyio


async def test_results_and_errors_come_back() -> None:
    assert await in_background(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await in_background(divmod, 7, 0)
    assert await in_background(int, "11", base=2) == 3


async def test_it_runs_in_a_thread_that_nobody_waits_for_at_the_end() -> None:
    thread = await in_background(threading.current_thread)
    assert thread is not threading.current_thread()
    assert thread.daemon


async def test_a_caller_that_is_cancelled_leaves_the_work_alone() -> None:
    gate, done = threading.Event(), threading.Event()

    def work() -> None:
        gate.wait(30)
        done.set()

    waiting = asyncio.ensure_future(in_background(work))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    assert await in_background(done.wait, 30)
    await asyncio.sleep(0.01)  # the result that nobody waits for comes to nothing


def test_a_loop_that_is_closed_meanwhile_is_no_error() -> None:
    gate = threading.Event()

    async def begin() -> None:
        waiting = asyncio.ensure_future(in_background(gate.wait, 30))
        await asyncio.sleep(0)
        assert not waiting.done()

    asyncio.run(begin())
    gate.set()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and "in_background" in repr(thread):
            thread.join(30)
