"""Large answers: written by a thread, within the request's time."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from chainzrule.service.api.bodies.reading import Reading
from chainzrule.service.api.bodies.steps import Steps
from chainzrule.service.api.incoming import Incoming
from chainzrule.service.api.writing import write
from chainzrule.service.budget import Budget
from chainzrule.service.errors import DeadlineExceeded

pytestmark = pytest.mark.anyio


@pytest.fixture
def request_() -> Iterator[Incoming]:
    async def receive() -> dict[str, object]:
        raise AssertionError("nobody asks for the body")

    reading = Reading(Budget(2**20))
    yield Incoming({"type": "http", "headers": []}, receive, reading)
    reading.thread.close()


def steps(count: int, seen: list[str]) -> Steps[bytes]:
    for _ in range(count):
        seen.append(threading.current_thread().name)
        time.sleep(0.001)
        yield
    return b"written"


async def test_an_answer_is_written_by_the_thread_that_reads_bodies(request_: Incoming) -> None:
    seen: list[str] = []
    deadline = asyncio.get_running_loop().time() + 20
    assert await write(request_, steps(3, seen), deadline) == b"written"
    assert {name.partition("_")[0] for name in seen} == {"bodies"}


async def test_an_answer_that_comes_too_late_is_not_written_to_its_end(request_: Incoming) -> None:
    seen: list[str] = []
    loop = asyncio.get_running_loop()
    with pytest.raises(DeadlineExceeded, match="before its answer was written"):
        await write(request_, steps(10**9, seen), loop.time() + 0.05)
    assert await write(request_, steps(1, []), loop.time() + 20) == b"written"  # the thread is free again
