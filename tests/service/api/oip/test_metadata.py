"""Health and metadata: who is there, what it takes, and what it answers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.artifacts import ALL, CLASSIFIER, IMAGE, MIXED, ORDINAL, REGRESSION, Toy
from tests.service.api.oip.messages import assert_error
from tests.service.conftest import Serving, serve

pytestmark = pytest.mark.anyio


def tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


LABELLED = [
    tensor("label", "BYTES", -1, 1),
    tensor("probabilities", "FP32", -1, 3),
    tensor("volatility", "FP32", -1, 1),
    tensor("flip_probability", "FP32", -1, 1),
    tensor("verdict", "BYTES", -1, 1),
]


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
async def test_the_server_says_what_it_is(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 200
    content = response.json()
    assert content.keys() == {"name", "version", "extensions"}
    assert (content["name"], content["version"]) == ("chainzrule", client.app.version)  # type: ignore[attr-defined]
    assert content["extensions"] == [
        "binary_tensor_data",
        "classification",
        "model_configuration",
        "model_repository",
        "statistics",
    ]


async def test_health(client: httpx.AsyncClient) -> None:
    live, ready = await client.get("/v2/health/live"), await client.get("/v2/health/ready")
    assert (live.status_code, live.json()) == (200, {"live": True})
    assert (ready.status_code, ready.json()) == (200, {"ready": True})


@pytest.mark.parametrize("version", ["", "/versions/1"])
@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
async def test_every_model_is_ready(client: httpx.AsyncClient, toy: Toy, version: str) -> None:
    response = await client.get(f"/v2/models/{toy.name}{version}/ready")
    assert (response.status_code, response.json()) == (200, {"name": toy.name, "ready": True})


@pytest.mark.parametrize(
    ("toy", "inputs", "outputs"),
    [
        (CLASSIFIER, [tensor("features", "FP32", -1, 2)], LABELLED),
        (IMAGE, [tensor("features", "FP32", -1, 6)], LABELLED),
        (
            MIXED,
            [
                tensor("age", "FP32", -1, 1),
                tensor("colour", "BYTES", -1, 1),
                tensor("dose", "FP32", -1, 1),
                tensor("site", "BYTES", -1, 1),
            ],
            LABELLED,
        ),
        (
            ORDINAL,
            [tensor("features", "FP32", -1, 2)],
            [
                LABELLED[0],
                tensor("value", "FP32", -1, 1),
                tensor("probabilities", "FP32", -1, 4),
                *LABELLED[2:],
            ],
        ),
        (
            REGRESSION,
            [tensor("features", "FP32", -1, 2)],
            [tensor("value", "FP32", -1, 1), LABELLED[2], LABELLED[4]],
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Toy) else "",
)
@pytest.mark.parametrize("version", ["", "/versions/1"])
async def test_models_say_what_they_take_and_answer(
    client: httpx.AsyncClient, toy: Toy, inputs: list[Any], outputs: list[Any], version: str
) -> None:
    response = await client.get(f"/v2/models/{toy.name}{version}")
    assert response.status_code == 200
    assert response.json() == {
        "name": toy.name,
        "versions": ["1"],
        "platform": "onnx_onnxv1",
        "inputs": inputs,
        "outputs": outputs,
    }


async def test_versions_are_those_that_can_be_asked_for(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path)
    CLASSIFIER.publish(tmp_path)
    CLASSIFIER.with_graph("model", b"no graph").write(tmp_path, "3")
    async with serve(tmp_path) as client:
        assert (await client.get("/v2/models/toy")).json()["versions"] == ["2", "1"]
        assert (await client.get("/v2/models/toy/ready")).status_code == 200
        response = await client.get("/v2/models/toy/versions/3/ready")
        assert (response.status_code, response.json()) == (503, {"name": "toy", "ready": False})
        assert_error(await client.get("/v2/models/toy/versions/3"), 503)


@pytest.mark.parametrize("path", ["nobody", "nobody/ready", "nobody/stats", "toy/versions/7", "toy/versions/7/ready"])
async def test_what_is_not_there_is_404(client: httpx.AsyncClient, path: str) -> None:
    assert_error(await client.get(f"/v2/models/{path}"), 404)


async def test_ready_means_that_there_is_a_model_and_not_that_all_load(serving: Serving) -> None:
    broken = replace(CLASSIFIER, name="broken").with_graph("model", b"no graph")
    async with serving(broken) as client:
        response = await client.get("/v2/health/ready")
        assert (response.status_code, response.json()) == (503, {"ready": False})
    async with serving(CLASSIFIER, broken) as client:
        response = await client.get("/v2/health/ready")
        assert (response.status_code, response.json()) == (200, {"ready": True})
        assert (await client.get("/v2/models/toy/ready")).status_code == 200
        assert (await client.get("/v2/models/broken/ready")).json() == {"name": "broken", "ready": False}
        assert_error(await client.get("/v2/models/broken"), 503)


async def test_while_draining_it_is_alive_and_not_ready(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        client.app.context.drain()  # type: ignore[attr-defined]
        live, ready = await client.get("/v2/health/live"), await client.get("/v2/health/ready")
        assert (live.status_code, ready.status_code) == (200, 503)
        assert ready.json() == {"ready": False}
        assert ready.headers["connection"] == "close"


async def test_probes_need_no_token(serving: Serving, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret")
    async with serving(CLASSIFIER, token_file=token) as client:
        for path in ("live", "ready"):
            assert (await client.get(f"/v2/health/{path}")).status_code == 200
        response = await client.get("/v2/models/toy")
        assert_error(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"
        good = await client.get("/v2/models/toy", headers={"Authorization": "Bearer s3cret"})
        assert good.status_code == 200


async def test_behind_a_proxys_prefix(serving: Serving) -> None:
    async with serving(CLASSIFIER, root_path="/api") as client:
        assert (await client.get("/api/v2")).status_code == 200
        assert_error(await client.get("/api/v2/nothing"), 404)
        assert_error(await client.post("/api/v2/models/toy/infer", content=b"{}"), 400, "inputs")
