"""Explanations of the shipped models: parts that add up exactly, and changes that the service itself confirms."""

import gzip
import statistics
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from chainzrule.service.app import create_app
from chainzrule.service.settings import Settings
from tests.service.conftest import EXAMINER, Transport

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
Rows = list[list[Any]]


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that serves the shipped models."""
    app = create_app(Settings(models=ROOT / "models", reload_seconds=0, threads=1), EXAMINER)
    async with app.router.lifespan_context(app):
        await app.context.catalog.started.wait()
        async with httpx.AsyncClient(transport=Transport(app=app), base_url="http://test", timeout=60) as asking:
            yield asking


@pytest.fixture(scope="module")
def rows() -> dict[str, Rows]:
    """Rows that people could send, by model; those of the tables are scikit-learn's."""
    data = pytest.importorskip("sklearn.datasets")
    with gzip.open(ROOT / "tests/data/t10k-images-idx3-ubyte.gz") as file:
        digits = np.frombuffer(file.read(), dtype=np.uint8, offset=16).reshape(-1, 784)
    diabetes = data.load_diabetes(scaled=False).data[::32].tolist()
    return {
        "breast-cancer": data.load_breast_cancer().data[::45].tolist(),
        "diabetes": [[row[0], str(int(row[1])), *row[2:]] for row in diabetes],
        "digits": digits[::2500].astype(float).tolist(),
    }


async def ask(client: httpx.AsyncClient, path: str = "/sensitivity", **question: Any) -> list[dict[str, Any]]:
    response = await client.post(path, json=question)
    assert response.status_code == 200, response.text
    predictions: list[dict[str, Any]] = response.json()["predictions"]
    return predictions


@pytest.mark.parametrize(("model", "nodes"), [("breast-cancer", 2), ("diabetes", 5), ("digits", 5)])
@pytest.mark.parametrize("given", [False, True], ids=["means", "a row"])
async def test_parts_add_up_to_what_the_model_says(
    client: httpx.AsyncClient, rows: dict[str, Rows], model: str, nodes: int, given: bool
) -> None:
    baseline = {"baseline": rows[model][0]} if given else {}
    instances = rows[model][1:]
    found = await ask(client, model=model, instances=instances, include=["attributions"], top=4, **baseline)
    parts = [answer["attributions"] for answer in found]
    values = [part[name] for part in parts for name in ("value", "baseline_value")]
    span = max(values) - min(values)
    for part in parts:
        assert part["nodes"] == nodes
        assert part["gap"] <= 1e-6 * span
        whole = sum(entry["attribution"] for entry in part["features"]) + part["rest"]
        assert whole == pytest.approx(part["value"] - part["baseline_value"], abs=2e-6 * span)


@pytest.mark.parametrize(
    ("model", "change"),
    [
        pytest.param("breast-cancer", {}, id="breast-cancer"),
        pytest.param("breast-cancer", {"sparse": True}, id="few of breast-cancer"),
        pytest.param("diabetes", {"at_least": 180}, id="diabetes"),
        pytest.param("diabetes", {"at_most": 110, "integer": ["age"], "frozen": ["sex"]}, id="some of diabetes"),
        pytest.param("digits", {}, id="digits"),
        pytest.param("digits", {"label": "3", "integer": ["pixel_14_14"]}, id="digits to 3"),
    ],
)
async def test_changes_are_what_the_service_confirms(
    client: httpx.AsyncClient, rows: dict[str, Rows], model: str, change: dict[str, Any]
) -> None:
    instances, ratios = rows[model], []
    found = await ask(client, model=model, instances=instances, counterfactual=change, top=1)
    card = (await client.get(f"/models/{model}")).json()["card"]
    names = [feature["name"] for feature in card["features"]]
    for row, answer in zip(instances, found, strict=True):
        one = answer["counterfactual"]
        assert one["reason"] is None
        changed = list(row)
        for entry in one["changes"]:
            assert entry["value"] == pytest.approx(row[names.index(entry["feature"])], rel=1e-6)
            changed[names.index(entry["feature"])] = entry["to"]
        (alone,) = await ask(client, "/predict", model=model, instances=[changed])
        if "at_least" in change:
            assert alone["value"] >= change["at_least"]
        elif "at_most" in change:
            assert alone["value"] <= change["at_most"]
        else:
            assert alone["label"] == one["prediction"]["label"] == change.get("label", alone["label"])
            assert (alone["label"] != answer["label"]) or answer["label"] == change.get("label")
        assert set(alone["stability"]["out_of_range"]) <= set(answer["stability"]["out_of_range"])
        assert one["certified"] <= one["distance"]
        if one["distance"] > 0:
            ratios.append(one["distance"] / one["certified"])
    if not change:
        assert statistics.median(ratios) <= {"breast-cancer": 1.15, "digits": 1.7}[model]
