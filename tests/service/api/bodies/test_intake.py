"""Bytes of bodies: each within its limit, all within the budget, and the oldest uploads ended where that is short."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from chainzrule.service.budget import Budget
from tests.artifacts import CLASSIFIER
from tests.service.api.refusals import JSON, assert_problem, question
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio

KIB = 2**10
BOUNDS = {"max_body_bytes": 512 * KIB, "max_held_bytes": 1024 * KIB}


class Upload:
    """An upload that sends so many bytes and then nothing more, until it is let go."""

    def __init__(self, client: httpx.AsyncClient, size: int) -> None:
        self.sent, self.go = asyncio.Event(), asyncio.Event()
        self.answer = asyncio.create_task(client.post("/predict", content=self.parts(size), headers=JSON))

    async def parts(self, size: int) -> AsyncIterator[bytes]:
        yield b" " * size
        self.sent.set()
        await self.go.wait()
        yield b'{"instances": [[1.0, 2.0]]}'


def budget_of(client: httpx.AsyncClient) -> Budget:
    budget: Budget = client.app.context.reading.budget  # type: ignore[attr-defined]
    return budget


async def uploads(client: httpx.AsyncClient, count: int, size: int) -> list[Upload]:
    """Unfinished uploads, the oldest first, whose bytes have arrived."""
    begun = []
    for _ in range(count):
        begun.append(Upload(client, size))
        await asyncio.wait_for(begun[-1].sent.wait(), 20)
    return begun


@pytest.mark.parametrize("routed", [False, True])
async def test_what_an_upload_holds_is_given_back(serving: Serving, routed: bool) -> None:
    async with serving(CLASSIFIER, routed=routed, **BOUNDS) as client:
        (upload,) = await uploads(client, 1, 100 * KIB)
        assert budget_of(client).held >= 100 * KIB
        assert f"chainzrule_held_bytes {float(budget_of(client).held)}" in (await client.get("/metrics")).text
        upload.go.set()
        assert (await upload.answer).status_code == 200
        assert budget_of(client).held == 0
        (upload,) = await uploads(client, 1, 100 * KIB)
        upload.answer.cancel()
        await asyncio.gather(upload.answer, return_exceptions=True)
        assert budget_of(client).held == 0


async def test_the_oldest_unfinished_uploads_make_room(serving: Serving) -> None:
    async with serving(CLASSIFIER, **BOUNDS) as client:
        begun = await uploads(client, 4, 250 * KIB)  # one more than there is room for
        ended = await asyncio.wait_for(begun[0].answer, 20)
        assert_problem(ended, 503, "overloaded", "body")
        assert int(ended.headers["retry-after"]) >= 1
        text = (await client.get("/metrics")).text
        assert 'chainzrule_rejected_requests_total{reason="overloaded"} 1.0' in text
        begun[-1].go.set()
        assert (await begun[-1].answer).status_code == 200
        for upload in begun[1:]:
            upload.go.set()
        await asyncio.gather(*(upload.answer for upload in begun))
        assert budget_of(client).held == 0


async def test_stalled_uploads_never_keep_others_out(serving: Serving) -> None:
    async with serving(CLASSIFIER, **BOUNDS) as client:
        stalled = await uploads(client, 20, 250 * KIB)
        for _ in range(10):
            response = await client.post(
                "/predict", content=b" " * 300 * KIB + b'{"instances": [[1, 2]]}', headers=JSON
            )
            assert response.status_code == 200
            assert (await client.post("/predict", json=question())).status_code == 200
        assert budget_of(client).held <= BOUNDS["max_held_bytes"]
        for upload in stalled:
            upload.go.set()
        statuses = {response.status_code for response in await asyncio.gather(*(one.answer for one in stalled))}
        assert statuses <= {200, 503}


async def test_what_can_never_fit_is_too_large(serving: Serving) -> None:
    async with serving(CLASSIFIER, **BOUNDS) as client:
        body = b'{"instances": [' + b",".join([b"{},{}"] * 2000) + b'], "x": [' + b",".join([b"[{}]"] * 50_000) + b"]}"
        response = await client.post("/predict", content=body, headers=JSON)
        assert_problem(response, 413, "too-large", "instances")
        response = await client.post("/predict", content=body.replace(b"[{}]", b"[[{}]]")[15:], headers=JSON)
        assert response.status_code in (400, 413)
        values = b'{"instances": [[' + b",".join([b'""'] * 40_000) + b"]]}"
        response = await client.post("/predict", content=values, headers=JSON)
        assert_problem(response, 413, "too-large", "body")
        assert budget_of(client).held == 0
