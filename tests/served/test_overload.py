"""Far more requests than can be taken: those that are taken are answered, the rest are told at once, and it passes."""

import asyncio

import httpx
import pytest

from tests.artifacts import CLASSIFIER, SLOW
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio

QUEUE, BATCH, CLIENTS = 8, 4, 200


async def test_overload_refuses_the_excess_at_once_and_nothing_else(serving: Serving) -> None:
    limits = {"inline_milliseconds": 0, "max_batch_rows": BATCH, "max_queue_rows": QUEUE, "request_timeout": 300}
    async with serving(SLOW, CLASSIFIER, **limits) as client:
        order: list[int] = []

        async def ask(model: str, row: list[float]) -> httpx.Response:
            response = await client.post("/predict", json={"model": model, "instances": [row]}, timeout=300)
            if model == "slow":
                order.append(response.status_code)
            return response

        running = asyncio.create_task(ask("slow", [2e6, 1.0]))
        await asyncio.sleep(0.05)  # its run has begun; what comes now must wait
        crowd = [asyncio.create_task(ask("slow", [0.0, float(n)])) for n in range(CLIENTS)]
        beside = await ask("toy", [1.0, 2.0])
        assert beside.status_code == 200
        answers = await asyncio.gather(running, *crowd)
        accepted = [response for response in answers if response.status_code == 200]
        refused = [response for response in answers if response.status_code == 429]
        assert len(accepted) + len(refused) == CLIENTS + 1
        assert len(accepted) == QUEUE + 1
        assert order[: len(refused)] == [429] * len(refused), "a refusal waited for a run"
        assert all(int(response.headers["retry-after"]) >= 1 for response in refused)
        metrics = (await client.get("/metrics")).text
        assert 'chainzrule_queue_depth{model="slow"} 0.0' in metrics
        assert f'chainzrule_rejected_requests_total{{reason="queue-full"}} {float(len(refused))}' in metrics
        assert (await ask("slow", [0.0, 1.0])).status_code == 200
