"""What the routes work with: readiness, draining and deadlines."""

import asyncio

import pytest

from chainzrule.service.api.context import Context
from tests.artifacts import CLASSIFIER
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio


async def test_traffic_is_wanted_until_a_drain_begins(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        context: Context = client.app.context  # type: ignore[attr-defined]
        draining = context.metrics.registry.get_sample_value
        assert (context.ready, context.draining, draining("chainzrule_draining")) == (True, False, 0.0)
        assert context.in_progress == 0
        context.drain()
        assert (context.ready, context.draining, draining("chainzrule_draining")) == (False, True, 1.0)
        assert context.catalog.ready()


async def test_without_a_model_no_traffic_is_wanted(serving: Serving) -> None:
    async with serving() as client:
        assert not client.app.context.ready  # type: ignore[attr-defined]


async def test_a_caller_can_only_shorten_the_deadline(serving: Serving) -> None:
    async with serving(request_timeout=10) as client:
        context: Context = client.app.context  # type: ignore[attr-defined]
        now = asyncio.get_running_loop().time()
        for timeout, seconds in ((None, 10), (3.0, 3), (10.0, 10), (60.0, 10)):
            assert context.deadline(timeout) - now == pytest.approx(seconds, abs=0.5)
