"""What the protocol asks about the server, its models and its repository is what the routes say."""

import shutil
from typing import Any

import pytest

from tests.artifacts import BINARY, CLASSIFIER

pytest.importorskip("grpc")

from tests.service.grpc.calls import Caller, calling, raw, refused

pytestmark = pytest.mark.anyio


def described(tensors: Any) -> list[dict[str, Any]]:
    return [{"name": one.name, "datatype": one.datatype, "shape": list(one.shape)} for one in tensors]


async def test_the_server_says_what_the_route_says(caller: Caller) -> None:
    said = (await caller.http.get("/v2")).json()
    found = await caller.ask("ServerMetadata")
    assert {"name": found.name, "version": found.version, "extensions": list(found.extensions)} == said
    assert (await caller.ask("ServerLive")).live
    assert (await caller.ask("ServerReady")).ready


@pytest.mark.parametrize("model", ["toy", "graded", "amount", "mixed", "picture"])
async def test_models_are_described_as_by_the_route(caller: Caller, model: str) -> None:
    said = (await caller.http.get(f"/v2/models/{model}")).json()
    found = await caller.ask("ModelMetadata", name=model, version="1")
    assert (found.name, list(found.versions), found.platform) == (model, said["versions"], said["platform"])
    assert (described(found.inputs), described(found.outputs)) == (said["inputs"], said["outputs"])
    config = (await caller.ask("ModelConfig", name=model)).config
    assert (config.name, config.max_batch_size) == (model, 64)
    assert [list(one.dims) for one in config.input] == [one["shape"][1:] for one in said["inputs"]]


@pytest.mark.parametrize(("model", "version", "ready"), [("toy", "", True), ("toy", "9", False), ("nobody", "", False)])
async def test_models_are_ready_where_they_answer(caller: Caller, model: str, version: str, ready: bool) -> None:
    assert (await caller.ask("ModelReady", name=model, version=version)).ready == ready


async def test_statistics_count_both_doors(caller: Caller) -> None:
    def rows(answer: Any) -> dict[str, int]:
        return {one.name: one.inference_count for one in answer.model_stats}

    before = rows(await caller.ask("ModelStatistics"))
    await caller.ask("ModelInfer", **raw("toy", [[1, 2]] * 3))
    after = await caller.ask("ModelStatistics", name="toy", version="1")
    assert rows(after) == {"toy": before["toy"] + 3}
    said = (await caller.http.get("/v2/models/toy/stats")).json()["model_stats"][0]
    (found,) = after.model_stats
    assert found.inference_stats.success.ns == said["inference_stats"]["success"]["ns"]
    assert [one.batch_size for one in found.batch_stats] == [one["batch_size"] for one in said["batch_stats"]]


@pytest.mark.parametrize("method", ["ModelMetadata", "ModelConfig", "ModelStatistics"])
async def test_unknown_models_are_not_found(caller: Caller, method: str) -> None:
    with refused("NOT_FOUND", "no such model"):
        await caller.ask(method, name="nobody")


async def test_the_repository_is_listed_and_changed_only_by_leave(tmp_path: Any) -> None:
    async with calling(tmp_path, CLASSIFIER, BINARY) as caller:
        listed = (await caller.ask("RepositoryIndex")).models
        assert [(one.name, one.version, one.state) for one in listed] == [
            ("binary", "1", "READY"),
            ("toy", "1", "READY"),
        ]
        for method in ("RepositoryModelLoad", "RepositoryModelUnload"):
            with refused("PERMISSION_DENIED", "admin"):
                await caller.ask(method, model_name="toy")
    async with calling(tmp_path, admin=True) as caller:
        await caller.ask("RepositoryModelUnload", model_name="toy")
        assert not (await caller.ask("ModelReady", name="toy")).ready
        with refused("UNAVAILABLE", "unloaded"):
            await caller.ask("ModelInfer", **raw("toy", [[1, 2]]))
        assert [one.name for one in (await caller.ask("RepositoryIndex", ready=True)).models] == ["binary"]
        with refused("INVALID_ARGUMENT", "parameters"):
            await caller.ask("RepositoryModelLoad", model_name="toy", parameters={"config": {"string_param": "{}"}})
        await caller.ask("RepositoryModelLoad", model_name="toy")
        assert (await caller.ask("ModelReady", name="toy")).ready
        shutil.rmtree(tmp_path / "toy")
        with refused("NOT_FOUND"):
            await caller.ask("RepositoryModelLoad", model_name="toy")
