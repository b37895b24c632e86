"""Bodies that do not come in time."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chainzrule.service.api.bodies import deadlines
from chainzrule.service.api.bodies.deadlines import BodyDeadlines
from chainzrule.service.errors import DeadlineExceeded
from tests.artifacts import CLASSIFIER
from tests.service.api.refusals import JSON, assert_problem
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio


async def test_a_body_that_does_not_come_runs_out_of_time(serving: Serving) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b'{"instances": '
        await asyncio.sleep(30)

    async with serving(CLASSIFIER, request_timeout=0.1) as client:
        response = await client.post("/predict", content=slow(), headers=JSON)
        assert_problem(response, 504, "deadline-exceeded", "body")


@pytest.fixture
async def sweeping(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BodyDeadlines]:
    monkeypatch.setattr(deadlines, "SWEEP_SECONDS", 0.01)
    bodies = BodyDeadlines()
    task = asyncio.create_task(bodies.sweep())
    yield bodies
    task.cancel()


async def read(bodies: BodyDeadlines, seconds: float, allowed: float) -> str:
    """Read a body that takes so many seconds, of those allowed."""

    async def body() -> str:
        await asyncio.sleep(seconds)
        return "body"

    return await bodies.keep(body(), asyncio.get_running_loop().time() + allowed)


async def test_each_body_has_its_own_deadline(sweeping: BodyDeadlines) -> None:
    late, timely = asyncio.create_task(read(sweeping, 30, 0.05)), asyncio.create_task(read(sweeping, 0.15, 20))
    with pytest.raises(DeadlineExceeded) as caught:
        await late
    assert caught.value.place == "body"
    assert not timely.done()
    assert await timely == "body"


async def test_who_was_late_once_may_go_on(sweeping: BodyDeadlines) -> None:
    with pytest.raises(DeadlineExceeded):
        await read(sweeping, 30, 0.02)
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
    assert await read(sweeping, 0.03, 20) == "body"
    await asyncio.sleep(0.05)  # a body that was read is swept no more


async def test_another_cancellation_is_passed_on(sweeping: BodyDeadlines) -> None:
    task = asyncio.create_task(read(sweeping, 30, 20))
    await asyncio.sleep(0.03)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_body_that_takes_its_time_to_end_is_ended_once(sweeping: BodyDeadlines) -> None:
    async def reluctant() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.1)  # several sweeps

    with pytest.raises(DeadlineExceeded):
        await sweeping.keep(reluctant(), asyncio.get_running_loop().time() + 0.02)
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
