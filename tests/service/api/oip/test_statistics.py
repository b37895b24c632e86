"""The statistics extension: counts and times of what really happened."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.artifacts import CLASSIFIER, SLOW, Toy
from tests.service.api.oip.messages import features, infer, message, post
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio


async def statistics(client: httpx.AsyncClient, path: str = "toy/") -> list[dict[str, Any]]:
    response = await client.get(f"/v2/models/{path}stats")
    assert response.status_code == 200, response.text
    assert response.json().keys() == {"model_stats"}
    found: list[dict[str, Any]] = response.json()["model_stats"]
    return found


async def test_nothing_yet(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        nothing = {"count": 0, "ns": 0}
        kinds = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
        assert await statistics(client) == [
            {
                "name": "toy",
                "version": "1",
                "last_inference": 0,
                "inference_count": 0,
                "execution_count": 0,
                "inference_stats": dict.fromkeys((*kinds, "cache_hit", "cache_miss"), nothing),
                "batch_stats": [],
                "memory_usage": [],
            }
        ]


async def test_requests_rows_and_runs_are_counted(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        for rows in (1, 3, 3):
            await infer(client, "toy", [features(CLASSIFIER.rows(rows))])
        await client.post("/predict", json={"instances": [[1, 2]]})
        (found,) = await statistics(client)
        assert (found["inference_count"], found["execution_count"]) == (8, 4)
        assert found["last_inference"] > 1.6e12  # milliseconds
        timed = found["inference_stats"]
        assert {name: part["count"] for name, part in timed.items() if part["count"]} == {
            "success": 4,
            "queue": 4,
            "compute_infer": 4,
        }
        assert timed["success"]["ns"] >= timed["compute_infer"]["ns"] > 0
        assert timed["success"]["ns"] == pytest.approx(timed["queue"]["ns"] + timed["compute_infer"]["ns"], abs=10)
        sizes = {batch["batch_size"]: batch["compute_infer"]["count"] for batch in found["batch_stats"]}
        assert sizes == {1: 2, 3: 2}
        assert sum(batch["compute_infer"]["ns"] for batch in found["batch_stats"]) == timed["compute_infer"]["ns"]


async def test_a_run_that_answers_several_requests_is_one(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        await asyncio.gather(*(infer(client, "toy", [features([[1, 2]])]) for _ in range(8)))
        (found,) = await statistics(client)
        assert found["inference_count"] == 8
        assert found["execution_count"] < 8
        assert sum(b["batch_size"] * b["compute_infer"]["count"] for b in found["batch_stats"]) == 8
        assert found["inference_stats"]["success"]["count"] == 8


async def test_failures_are_counted(serving: Serving) -> None:
    async with serving(Toy(cubic=0.1), SLOW, inline_milliseconds=0) as client:
        assert (await post(client, "toy", *message([features([[1e30, 1]])]))).status_code == 400
        assert (await post(client, "toy", *message([features([[1, 2, 3]])]))).status_code == 400  # never reached it
        (found,) = await statistics(client)
        assert found["inference_stats"]["fail"]["count"] == 1
        assert found["inference_stats"]["fail"]["ns"] > 0
        assert (found["inference_count"], found["inference_stats"]["success"]["count"]) == (0, 0)
        body, headers = message([features([[1e6, 1]])])
        assert (await post(client, "slow", body, {**headers, "X-Request-Timeout": "0.02"})).status_code == 504
        await infer(client, "slow", [features([[1, 1]])])
        (found,) = await statistics(client, "slow/")
        assert found["inference_stats"]["fail"]["count"] == 1
        assert found["inference_stats"]["success"]["count"] == 1


async def test_of_one_version_of_all_and_of_all_models(serving: Serving) -> None:
    broken = Toy(name="broken").with_graph("model", b"no graph")
    async with serving(CLASSIFIER, CLASSIFIER, Toy(name="other"), broken) as client:
        await infer(client, "toy/versions/1", [features([[1, 2]])])

        async def counts(path: str) -> dict[tuple[str, str], int]:
            found = await statistics(client, path)
            return {(item["name"], item["version"]): item["inference_count"] for item in found}

        assert await counts("toy/") == {("toy", "1"): 1, ("toy", "2"): 0}
        assert await counts("toy/versions/1/") == {("toy", "1"): 1}
        assert await counts("") == {("toy", "1"): 1, ("toy", "2"): 0, ("other", "1"): 0}
        assert await counts("broken/") == {}
