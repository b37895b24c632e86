"""What the application wires together: it follows the repository while it runs, and survives what it cannot read."""

import asyncio
import logging
import shutil
from pathlib import Path

import httpx
import pytest

from chainzrule import __version__
from chainzrule.service.app import create_app
from chainzrule.service.errors import ServiceError
from chainzrule.service.settings import Settings
from tests.artifacts import BINARY, CLASSIFIER, SLOW
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio


async def models(client: httpx.AsyncClient) -> set[str]:
    return {model["name"] for model in (await client.get("/models")).json()["models"]}


async def until_there(client: httpx.AsyncClient, name: str) -> None:
    for _ in range(400):
        if name in await models(client):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{name} did not come into service")


async def test_the_repository_is_followed(serving: Serving, tmp_path: Path) -> None:
    async with serving(CLASSIFIER, reload_seconds=0.02) as client:
        assert await models(client) == {"toy"}
        BINARY.publish(tmp_path / "models")
        await until_there(client, "binary")


async def test_it_is_not_followed_where_that_is_switched_off(serving: Serving, tmp_path: Path) -> None:
    async with serving(CLASSIFIER, reload_seconds=0) as client:
        BINARY.publish(tmp_path / "models")
        await asyncio.sleep(0.1)
        assert await models(client) == {"toy"}
        await client.app.context.repository.refresh()  # type: ignore[attr-defined]
        assert await models(client) == {"toy", "binary"}


async def test_a_repository_that_cannot_be_read_leaves_what_is_loaded(
    serving: Serving, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(CLASSIFIER, reload_seconds=0.02) as client:
        moved = (tmp_path / "models").rename(tmp_path / "elsewhere")
        with caplog.at_level(logging.ERROR):
            await client.app.context.repository.refresh()  # type: ignore[attr-defined]
        assert "the model repository cannot be read; serving what is loaded" in caplog.text
        assert (await client.get("/readyz")).status_code == 200
        shutil.copytree(moved, tmp_path / "models")
        BINARY.publish(tmp_path / "models")
        await until_there(client, "binary")  # looking at it has not ended


async def test_its_duties_end_with_it(serving: Serving) -> None:
    before = asyncio.all_tasks()
    async with serving(CLASSIFIER, reload_seconds=0.02):
        assert len(asyncio.all_tasks() - before) >= 2
    assert asyncio.all_tasks() - before == set()


async def test_metrics_read_the_versions_and_the_queues_as_they_are(serving: Serving) -> None:
    limits = {"inline_milliseconds": 0, "max_batch_rows": 1, "request_timeout": 300}
    async with serving(SLOW, CLASSIFIER, **limits) as client:

        async def ask(spin: float) -> httpx.Response:
            return await client.post("/predict", json={"model": "slow", "instances": [[spin, 1.0]]}, timeout=300)

        tasks = [asyncio.create_task(ask(1e6))]
        await asyncio.sleep(0.05)
        tasks += [asyncio.create_task(ask(0.0)) for _ in range(3)]
        await asyncio.sleep(0.02)
        text = (await client.get("/metrics")).text
        assert 'chainzrule_queue_depth{model="slow"} 3.0' in text
        assert 'chainzrule_queue_depth{model="toy"} 0.0' in text
        for state, value in (("READY", 1.0), ("LOADING", 0.0), ("FAILED", 0.0)):
            assert f'chainzrule_model_state{{model="toy",state="{state}",version="1"}} {value}' in text
        assert {response.status_code for response in await asyncio.gather(*tasks)} == {200}


async def test_a_default_model_that_is_not_there_is_said(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with serving(CLASSIFIER, default_model="toy"):
            assert caplog.text == ""
        async with serving(default_model="absent"):
            await asyncio.sleep(0)
            assert "the default model is not in the repository" in caplog.text


def test_the_document_says_which_version_it_is(tmp_path: Path) -> None:
    assert create_app(Settings(models=tmp_path)).openapi()["info"]["version"] == __version__


def test_a_token_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="cannot be read"):
        create_app(Settings(models=tmp_path, token_file=tmp_path / "absent"))
