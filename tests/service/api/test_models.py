"""`/models` and below: cards, states and live stability."""

import asyncio
import gc
import shutil
import threading
import time
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from chainzrule.service.api.schemas.models import ModelList, StabilityAnswer
from chainzrule.service.stability.verdict import VERDICTS
from tests.artifacts import ALL, CLASSIFIER, IMAGE, MIXED, REGRESSION, SLOW, Toy, numeric
from tests.service.api.refusals import MARK, Case, assert_refused
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio

CASES = [
    Case("card with a parameter", 422, "invalid-input", method="GET", path=f"/models/toy?{MARK}=1", place="query"),
    Case(
        "card with two versions",
        422,
        "invalid-input",
        method="GET",
        path="/models/toy?version=1&version=1",
        place="query",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_every_failure_has_its_status_in_the_one_shape(client: httpx.AsyncClient, case: Case) -> None:
    await assert_refused(client, case)


async def get(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    content: dict[str, Any] = response.json()
    return content


async def test_the_list(client: httpx.AsyncClient) -> None:
    answer = await get(client, "/models")
    ModelList.model_validate(answer)
    assert {model["name"] for model in answer["models"]} == {toy.name for toy in ALL}
    assert [model["name"] for model in answer["models"] if model["default"]] == ["toy"]
    for model in answer["models"]:
        (version,) = model["versions"]
        assert (version["version"], version["state"], version["reason"]) == ("1", "READY", None)


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
async def test_a_card_says_all_but_the_golden_rows(client: httpx.AsyncClient, toy: Toy) -> None:
    answer = await get(client, f"/models/{toy.name}")
    assert (answer["name"], answer["version"], answer["provider"]) == (toy.name, "1", "CPUExecutionProvider")
    assert answer["loaded_at"] > 1.6e9
    card = toy.card()
    expected = card.model_dump(mode="json", exclude={"golden": True, "features": True, "conformity": {"errors"}})
    expected["features"] = [feature.model_dump(mode="json") for feature in card.inputs()]
    assert answer["card"] == expected
    response = await client.get(f"/models/{toy.name}")
    assert "golden" not in response.text
    assert card.golden.features.data not in response.text


async def test_noise_and_range_of_every_pixel(client: httpx.AsyncClient) -> None:
    features = (await get(client, "/models/image"))["card"]["features"]
    assert [feature["name"] for feature in features] == [f"pixel_{r}_{c}" for r in range(2) for c in range(3)]
    for feature in features:
        assert (feature["low"], feature["high"], feature["noise"]) == (0.0, 255.0, 8.0)
    assert IMAGE.layout is not None


async def test_a_card_is_written_once_and_lives_no_longer_than_its_version(serving: Serving) -> None:
    large = replace(CLASSIFIER, name="large", features=tuple(numeric(f"feature {n}") for n in range(50)))
    async with serving(large) as client:
        answers = [await client.get("/models/large", headers={"Accept-Encoding": coding}) for coding in ("gzip", "x")]
        assert answers[0].json() == answers[1].json()
        assert answers[0].headers["content-encoding"] == "gzip"
        assert "content-encoding" not in answers[1].headers
        client.app.context.catalog.entries("large")["1"].served.loaded_at = 1.5  # type: ignore[attr-defined]
        assert (await get(client, "/models/large"))["loaded_at"] == 1.5


async def test_levels_are_listed(client: httpx.AsyncClient) -> None:
    features = (await get(client, "/models/mixed"))["card"]["features"]
    assert features[1]["levels"] == ["red", "green", "blue"]
    assert len(features) == len(MIXED.features)


async def test_versions_and_their_reasons(serving: Serving) -> None:
    second = CLASSIFIER.with_graph("model", b"garbage")
    async with serving(CLASSIFIER, second, replace(CLASSIFIER, seed=9)) as client:
        (listed,) = (await get(client, "/models"))["models"]
        assert [(v["version"], v["state"]) for v in listed["versions"]] == [
            ("3", "READY"),
            ("2", "FAILED"),
            ("1", "READY"),
        ]
        assert "model.onnx" in listed["versions"][1]["reason"]
        assert listed["versions"][1]["task"] is None
        assert (await get(client, "/models/toy"))["version"] == "3"
        old = await get(client, "/models/toy?version=1")
        assert old["version"] == old["card"]["version"] == "1"
        assert (await client.get("/models/toy?version=2")).status_code == 503
        answer = (await client.post("/predict", json={"instances": [[1.0, 2.0]]})).json()
        assert answer["version"] == "3"


async def test_versions_come_and_go_while_the_service_runs(serving: Serving) -> None:
    async with serving(CLASSIFIER, REGRESSION, default_model="toy") as client:
        app = client.app  # type: ignore[attr-defined]
        root = app.context.settings.models
        row = {"instances": [[1.0, 2.0]]}
        first = (await client.post("/predict", json=row)).json()
        replace(CLASSIFIER, seed=9).publish(root)
        await app.context.repository.refresh()
        second = (await client.post("/predict", json=row)).json()
        assert (first["version"], second["version"]) == ("1", "2")
        assert first["predictions"] != second["predictions"]
        assert (await client.post("/predict", json={**row, "version": "1"})).json() == first
        shutil.rmtree(root / "toy")
        await app.context.repository.refresh()
        assert (await client.post("/predict", json={**row, "model": "toy"})).status_code == 404


async def test_a_request_in_flight_is_answered_by_the_version_it_began_with(serving: Serving) -> None:
    async with serving(SLOW, inline_milliseconds=0, keep_versions=1) as client:
        app = client.app  # type: ignore[attr-defined]
        root = app.context.settings.models
        flying = asyncio.create_task(client.post("/predict", json={"instances": [[4e6, 0.0]]}))
        await asyncio.sleep(0.05)
        replace(SLOW, seed=9).publish(root)
        shutil.rmtree(root / "slow" / "1")
        await app.context.repository.refresh()
        assert not flying.done()
        assert (await client.post("/predict", json={"instances": [[0.0, 0.0]]})).json()["version"] == "2"
        response = await flying
        assert (response.status_code, response.json()["version"]) == (200, "1")


async def test_unloaded_versions_leave_no_threads(serving: Serving) -> None:
    def workers() -> int:
        return sum(thread.name.startswith("engine") for thread in threading.enumerate())

    gc.collect()
    before = workers()
    async with serving(CLASSIFIER, inline_milliseconds=0, keep_versions=1) as client:
        app = client.app  # type: ignore[attr-defined]
        for seed in range(1, 6):
            assert (await client.post("/sensitivity", json={"instances": [[1.0, 2.0]]})).status_code == 200
            replace(CLASSIFIER, seed=seed).publish(app.context.settings.models)
            await app.context.repository.refresh()
        assert (await client.get("/models/toy")).json()["version"] == "6"
        end = time.monotonic() + 5
        while workers() > before + 2 and time.monotonic() < end:
            gc.collect()
            await asyncio.sleep(0.01)
        assert workers() <= before + 2  # the two of the version in service


async def test_odd_names_are_names(serving: Serving) -> None:
    names = ('a "quoted" {name}', "line\nbreak, \\ and \t", "größe °C 🌡")
    toy = Toy(name="A.b_c-9", features=tuple(numeric(name) for name in names), labels=('y"es', "n\no", "größe"))
    async with serving(toy) as client:
        listed = (await client.post("/predict", json={"instances": [[99.0, 99.0, 99.0]]})).json()
        by_name = {"instances": [dict.fromkeys(reversed(names), 99.0)]}
        assert (await client.post("/predict", json=by_name)).json() == listed
        found = listed["predictions"][0]
        assert set(found["probabilities"]) == set(toy.names)
        assert found["stability"]["out_of_range"] == list(names)
        missing = await client.post("/predict", json={"instances": [{names[0]: 1}]})
        assert missing.json()["place"] == f"instances[0].{names[1]}"
        families = {family.name: family for family in parse((await client.get("/metrics")).text)}
        counted = families["chainzrule_out_of_range_features"].samples
        assert {sample.labels["feature"]: sample.value for sample in counted} == dict.fromkeys(names, 2.0)


async def test_live_stability_beside_the_reference(serving: Serving) -> None:
    rows = CLASSIFIER.rows(30)
    async with serving(CLASSIFIER, window_minimum_rows=30, window_rows=40) as client:
        before = await get(client, "/models/toy/stability")
        StabilityAnswer.model_validate(before)
        assert before["window"]["samples"] == 0
        assert before["window"]["gradient_tail_ratio"] is None
        reference = CLASSIFIER.card().reference
        assert before["reference"] == {
            "rows": 500,
            "out_of_fold": True,
            "gradient_tail_ratio": 1.5,
            "volatility_mean": reference.volatility.mean,
            "volatility_quantiles": {f"p{q}": reference.volatility.quantiles[q] for q in (50, 90, 99)},
            "out_of_range_rate": 0.01,
        }
        instances = [*rows[:29].tolist(), [1e3, 0.0]]
        answer = (await client.post("/predict", json={"instances": instances})).json()
        after = await get(client, "/models/toy/stability")
        StabilityAnswer.model_validate(after)
        stability = [found["stability"] for found in answer["predictions"]]
        volatility = np.array([row["volatility"] for row in stability])
        norms = np.array([row["gradient_norm"] for row in stability])
        window = after["window"]
        assert window["samples"] == 30
        assert window["gradient_tail_ratio"] == pytest.approx(np.quantile(norms, 0.99) / norms.mean())
        assert window["volatility_reference_ratio"] == pytest.approx(volatility.mean() / reference.volatility.mean)
        for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
            assert window["volatility_quantiles"][name] == pytest.approx(np.quantile(volatility, q))
        assert window["out_of_range_rate"] == pytest.approx(1 / 30)
        assert window["novel_rate"] == 0.0
        verdicts = [row["verdict"] for row in stability]
        assert window["verdicts"] == {name: verdicts.count(name) for name in VERDICTS[:3]}


async def test_experiments_enter_no_window(serving: Serving) -> None:
    async with serving(CLASSIFIER, window_minimum_rows=1) as client:
        row = {"instances": [[1.0, 2.0]]}
        for question in ({**row, "observe": False}, {**row, "noise_scale": 2}, {**row, "noise_scale": 0.999}):
            assert (await client.post("/predict", json=question)).status_code == 200
        assert (await client.post("/sensitivity", json=row)).status_code == 200
        assert (await client.get("/sensitivity?x=1,2")).status_code == 200
        assert (await get(client, "/models/toy/stability"))["window"]["samples"] == 0
        assert (await client.post("/predict", json={**row, "noise_scale": 1})).status_code == 200
        assert (await client.post("/predict", json={**row, "observe": True})).status_code == 200
        assert (await get(client, "/models/toy/stability"))["window"]["samples"] == 2
