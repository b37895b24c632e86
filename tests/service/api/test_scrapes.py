"""Scrapes are written beside the event loop, and those that wait share one."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chainzrule.service.api.scrapes import Scrapes
from chainzrule.service.telemetry.metrics import Metrics

pytestmark = pytest.mark.anyio


async def test_scrapes_that_wait_share_what_is_written_next() -> None:
    metrics, gate = Metrics(), threading.Event()
    with ThreadPoolExecutor(1) as writer:
        scrapes = Scrapes(metrics, writer)
        writer.submit(gate.wait, 60)
        first = asyncio.create_task(scrapes.answer("", False))
        await asyncio.sleep(0.05)  # its moment has come, and the thread is busy
        metrics.rejected.labels("queue-full").inc()
        later = [asyncio.create_task(scrapes.answer("", False)) for _ in range(3)]
        packed = asyncio.create_task(scrapes.answer("", True))
        await asyncio.sleep(0.05)
        metrics.rejected.labels("queue-full").inc()
        later[0].cancel()  # the others still get theirs
        assert not first.done()
        gate.set()
        answers = await asyncio.gather(*later, return_exceptions=True)
        await first
        assert (await packed).headers["content-encoding"] == "gzip"
    counted = b'chainzrule_rejected_requests_total{reason="queue-full"} 2.0\n'
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1] is answers[2]
    assert counted in answers[1].body  # type: ignore[union-attr]
