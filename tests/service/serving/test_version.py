"""A version in service: it goes, with its threads, when it was unloaded and the last request has let go of it."""

import asyncio
import gc
import shutil
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from tests.artifacts import SLOW
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def engine_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("engine")}


@pytest.mark.usefixtures("_no_collector")
async def test_an_unloaded_version_goes_without_the_collector_once_its_requests_are_answered(serving: Serving) -> None:
    async with serving(SLOW, inline_milliseconds=0) as client:
        app = client.app  # type: ignore[attr-defined]
        before = engine_threads()
        row = {"instances": [[1.0, 0.0]]}
        assert (await client.post("/sensitivity", json=row)).status_code == 200
        late = await client.post("/predict", json={"instances": [[1e5, 0.0]]}, headers={"X-Request-Timeout": "0.001"})
        assert late.status_code == 504
        served = weakref.ref(app.context.catalog.resolve("slow", None))
        own = engine_threads() - before
        assert len(own) == 2
        asked = asyncio.create_task(client.post("/predict", json={"instances": [[3e5, 0.0]]}))
        await asyncio.sleep(0.1)
        shutil.rmtree(app.context.settings.models / "slow")
        await app.context.catalog.refresh()
        assert not asked.done()
        assert served() is not None
        assert (await asked).status_code == 200
        end = time.monotonic() + 5
        while (served() is not None or own & engine_threads()) and time.monotonic() < end:
            await asyncio.sleep(0.01)
        assert served() is None
        assert not own & engine_threads()
