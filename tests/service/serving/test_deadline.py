"""The time that a request has left."""

import asyncio

import pytest

from chainzrule.service.serving.deadline import seconds_until

pytestmark = pytest.mark.anyio


async def test_seconds_are_those_of_the_loops_clock() -> None:
    now = asyncio.get_running_loop().time()
    assert 9.0 < seconds_until(now + 10.0) <= 10.0
    assert seconds_until(now - 1.0) < 0
