"""Inference requests are answered the same way whichever door they came through. `test_infer.py` asks by HTTP."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from chainzrule.service.api.oip.inference import Inferences
from chainzrule.service.api.oip.question import InferRequest, WantedOutput
from chainzrule.service.errors import ClientLimited, InvalidInput
from tests.artifacts import CLASSIFIER
from tests.service.conftest import serve

pytestmark = pytest.mark.anyio


def free(rows: int) -> None:
    """Lets everybody have all rows."""


async def ask(client: httpx.AsyncClient, request: InferRequest, charge: Any = free) -> Any:
    context = client.app.context  # type: ignore[attr-defined]
    served = context.catalog.resolve("toy", None)
    return await Inferences(context).outputs(served, request, charge, asyncio.get_running_loop().time() + 60)


async def test_outputs_come_in_the_order_that_is_asked_for_with_their_values(tmp_path: Path) -> None:
    rows = CLASSIFIER.rows(3)
    async with serve(tmp_path, CLASSIFIER) as client:
        wanted = (WantedOutput("scores", True), WantedOutput("label", False))
        scores, label = await ask(client, InferRequest({"features": np.float32(rows)}, wanted))
        assert (scores.spec.name, scores.binary, scores.size) == ("scores", True, 9)
        np.testing.assert_allclose(scores.values, CLASSIFIER.scores(rows), rtol=1e-4, atol=1e-5)
        assert (label.spec.name, label.binary, label.size) == ("label", False, 3)
        usual = await ask(client, InferRequest({"features": np.float32(rows)}, binary=True))
        assert all(output.binary for output in usual)
        with pytest.raises(InvalidInput, match="output"):
            await ask(client, InferRequest({"features": np.float32(rows)}, (WantedOutput("secret", False),)))


async def test_rows_are_paid_for_before_they_run(tmp_path: Path) -> None:
    paid: list[int] = []

    def refuse(rows: int) -> None:
        paid.append(rows)
        raise ClientLimited("enough")

    async with serve(tmp_path, CLASSIFIER) as client:
        with pytest.raises(ClientLimited):
            await ask(client, InferRequest({"features": np.float32(CLASSIFIER.rows(3))}), refuse)
        stats = (await client.get("/v2/models/toy/stats")).json()["model_stats"][0]
    assert paid == [3]
    assert stats["execution_count"] == 0
