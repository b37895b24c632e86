"""The health protocol says whether traffic is welcome, also while that changes."""

import asyncio
from pathlib import Path

import pytest

from tests.artifacts import CLASSIFIER

grpc = pytest.importorskip("grpc")

from chainzrule.service.grpc.messages import HEALTH, INFERENCE, message  # noqa: E402 - it needs the extra
from tests.service.grpc.calls import Caller, calling, refused  # noqa: E402

pytestmark = pytest.mark.anyio
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
ASKED = message("grpc.health.v1.HealthCheckRequest")
ANSWER = message("grpc.health.v1.HealthCheckResponse")


async def test_it_serves_while_it_is_ready(tmp_path: Path) -> None:
    async with calling(tmp_path, CLASSIFIER) as caller:
        for service in ("", INFERENCE, "liveness"):
            assert await caller.health(service) == SERVING
        with refused("NOT_FOUND", "liveness"):
            await caller.health("nobody")
        caller.app.context.drain()
        assert await caller.health() == NOT_SERVING
        assert await caller.health("liveness") == SERVING


async def test_a_watch_says_when_that_changes(tmp_path: Path) -> None:
    async with calling(tmp_path, CLASSIFIER) as caller:
        watch = caller.channel.unary_stream(f"/{HEALTH}/Watch")(ASKED().SerializeToString(), timeout=60)
        assert ANSWER.FromString(await watch.read()).status == SERVING
        caller.app.context.drain()
        assert ANSWER.FromString(await watch.read()).status == NOT_SERVING
        closing = asyncio.create_task(caller.app.grpc.close())  # type: ignore[union-attr]
        assert await watch.code() == grpc.StatusCode.OK  # it ends by itself, before the server ends it
        await closing


async def test_a_watch_of_something_unknown_says_so(caller: Caller) -> None:
    watch = caller.channel.unary_stream(f"/{HEALTH}/Watch")(ASKED(service="nobody").SerializeToString(), timeout=60)
    assert ANSWER.FromString(await watch.read()).status == SERVICE_UNKNOWN
    watch.cancel()
