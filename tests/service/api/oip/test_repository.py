"""The model repository extension: the index, and taking models out of service and back in."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.artifacts import CLASSIFIER, REGRESSION
from tests.service.api.oip.messages import assert_error, features, infer, message, post
from tests.service.conftest import Serving, serve

pytestmark = pytest.mark.anyio
OTHER = replace(CLASSIFIER, name="other")
BROKEN = replace(CLASSIFIER, name="broken").with_graph("model", b"no graph")


async def index(client: httpx.AsyncClient, **members: Any) -> list[dict[str, str]]:
    response = await client.post("/v2/repository/index", json=members)
    assert response.status_code == 200, response.text
    found: list[dict[str, str]] = response.json()
    return found


async def change(client: httpx.AsyncClient, model: str, verb: str, **members: Any) -> httpx.Response:
    return await client.post(f"/v2/repository/models/{model}/{verb}", json=members)


def entry(name: str, version: str = "1", state: str = "READY", reason: str = "") -> dict[str, str]:
    return {"name": name, "version": version, "state": state, "reason": reason}


async def test_the_index_lists_every_version(serving: Serving) -> None:
    async with serving(CLASSIFIER, CLASSIFIER, BROKEN) as client:
        broken, *others = await index(client)
        assert others == [entry("toy", "2"), entry("toy", "1")]
        assert (broken["name"], broken["version"], broken["state"]) == ("broken", "1", "UNAVAILABLE")
        assert "model.onnx" in broken["reason"]
        assert await index(client, ready=True) == others
        assert await index(client, ready=False) == [broken, *others]
        assert await index(client, repository_name="x") == [broken, *others]


@pytest.mark.parametrize("body", [b"", b"  ", b"{}"])
async def test_the_index_needs_no_body(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/v2/repository/index", content=body)
    assert response.status_code == 200
    assert entry("toy") in response.json()


@pytest.mark.parametrize("body", [b"[]", b"s3cret", b'{"ready": 1}', b'{"ready": "yes"}', b'{"a": 1, "a": 1}'])
async def test_the_index_refuses_what_it_cannot_read(client: httpx.AsyncClient, body: bytes) -> None:
    assert_error(await client.post("/v2/repository/index", content=body), 400)


async def test_without_the_setting_nobody_loads_or_unloads(client: httpx.AsyncClient) -> None:
    metrics = client.app.context.metrics.registry  # type: ignore[attr-defined]
    for model in ("toy", "s3cret"):
        for verb in ("load", "unload"):
            assert_error(await change(client, model, verb), 403, "admin")
    assert metrics.get_sample_value("chainzrule_rejected_requests_total", {"reason": "forbidden"}) >= 4
    await infer(client, "toy", [features([[1, 2]])])


async def test_an_unloaded_model_stays_away_until_it_is_loaded(serving: Serving) -> None:
    async with serving(CLASSIFIER, OTHER, admin=True) as client:
        repository = client.app.context.repository  # type: ignore[attr-defined]
        response = await change(client, "toy", "unload", parameters={"unload_dependents": False})
        assert (response.status_code, response.content) == (200, b"")
        for _ in range(2):
            assert await index(client) == [entry("other"), entry("toy", "", "UNAVAILABLE", "unloaded")]
            assert await index(client, ready=True) == [entry("other")]
            assert_error(await post(client, "toy", *message([features([[1, 2]])])), 503, "unloaded")
            assert_error(await post(client, "toy/versions/1", *message([features([[1, 2]])])), 503, "unloaded")
            response = await client.get("/v2/models/toy/ready")
            assert (response.status_code, response.json()) == (503, {"name": "toy", "ready": False})
            for path in ("/v2/models/toy", "/v2/models/toy/stats"):
                assert_error(await client.get(path), 503)
            assert (await client.post("/predict", json={"model": "toy", "instances": [[1, 2]]})).status_code == 503
            await infer(client, "other", [features([[1, 2]])])
            await repository.refresh()  # as every few seconds, and at SIGHUP
        assert (await client.get("/v2/health/ready")).status_code == 200  # it is meant to be so
        assert (await change(client, "toy", "unload")).status_code == 200  # once more does no harm
        response = await change(client, "toy", "load")
        assert (response.status_code, response.content) == (200, b"")
        assert sorted(item["name"] for item in await index(client, ready=True)) == ["other", "toy"]
        await infer(client, "toy", [features([[1, 2]])])


async def test_another_model_does_not_answer_in_its_place(serving: Serving) -> None:
    async with serving(CLASSIFIER, OTHER, admin=True) as client:
        await change(client, "other", "unload")
        assert (await client.post("/predict", json={"instances": [[1, 2]]})).status_code == 422  # none is the default
        await change(client, "toy", "unload")
        response = await client.get("/v2/health/ready")
        assert (response.status_code, response.json()) == (503, {"ready": False})


async def test_a_required_model_that_is_unloaded_is_waited_for(serving: Serving) -> None:
    async with serving(CLASSIFIER, OTHER, admin=True, required_models=("toy",)) as client:
        await change(client, "toy", "unload")
        assert (await client.get("/v2/health/ready")).status_code == 503
        await change(client, "toy", "load")
        assert (await client.get("/v2/health/ready")).status_code == 200


async def test_requests_under_way_are_answered(serving: Serving) -> None:
    async with serving(CLASSIFIER, OTHER, admin=True, inline_milliseconds=0) as client:
        asked = [asyncio.create_task(infer(client, "toy", [features([[1, 2]])])) for _ in range(20)]
        await asyncio.sleep(0)
        unloaded, *answers = await asyncio.gather(change(client, "toy", "unload"), *asked)
        assert unloaded.status_code == 200
        assert len(answers) == 20


async def test_load_looks_at_the_directory_again(tmp_path: Path) -> None:
    async with serve(tmp_path, CLASSIFIER, admin=True) as client:
        CLASSIFIER.publish(tmp_path)
        REGRESSION.publish(tmp_path)
        await change(client, "toy", "load")
        assert {(item["name"], item["version"]) for item in await index(client)} >= {("toy", "2"), ("toy", "1")}
        await change(client, "amount", "load")
        await infer(client, "amount", [features([[1, 2]])])
        await change(client, "toy", "unload")
        CLASSIFIER.publish(tmp_path)
        await client.app.context.repository.refresh()  # type: ignore[attr-defined]
        assert_error(await client.get("/v2/models/toy"), 503)
        await change(client, "toy", "load")
        assert (await client.get("/v2/models/toy")).json()["versions"] == ["3", "2"]


async def test_a_failed_version_is_tried_again(tmp_path: Path) -> None:
    BROKEN.write(tmp_path)
    async with serve(tmp_path, CLASSIFIER, admin=True) as client:
        assert_error(await change(client, "broken", "load"), 400, "model.onnx")
        assert (await client.get("/v2/health/ready")).status_code == 200
        shutil.rmtree(tmp_path / "broken")
        OTHER.publish(tmp_path)
        assert_error(await change(client, "broken", "load"), 404)
        assert_error(await change(client, "broken", "unload"), 404)
        assert (await change(client, "other", "load")).status_code == 200
        shutil.rmtree(tmp_path / "other")
        await change(client, "other", "unload")
        assert_error(await change(client, "other", "load"), 404)
        shutil.rmtree(tmp_path)
        assert_error(await change(client, "toy", "load"), 503, "repository")
        tmp_path.mkdir()


@pytest.mark.parametrize("verb", ["load", "unload"])
async def test_what_is_not_there_cannot_be_changed(serving: Serving, verb: str) -> None:
    async with serving(CLASSIFIER, admin=True) as client:
        for name in ("s3cret", "..", "toy%2f1"):
            assert_error(await change(client, name, verb), 404)
        assert_error(await client.post(f"/v2/repository/models/toy/{verb}", content=b"s3cret"), 400)
        assert (await client.post(f"/v2/repository/models/toy/{verb}")).status_code == 200


async def test_models_cannot_be_sent(serving: Serving) -> None:
    async with serving(CLASSIFIER, admin=True) as client:
        body = orjson.dumps({"parameters": {"config": "{}", "file:1/model.onnx": "AAAA"}})
        response = await client.post("/v2/repository/models/toy/load", content=body)
        assert_error(response, 400, "parameters")
