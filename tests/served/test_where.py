"""Where sensitivity arises: layers beside the card's reference, and declared effects that a row breaks."""

from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
from onnx.utils import Extractor

from chainzrule.service.api.schemas.sensitivities import SensitivityAnswer
from chainzrule.service.artifact.evidence import Distribution, Reference
from tests.answers import assert_same
from tests.artifacts import CLASSIFIER, CUBIC, Toy, numeric
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio
QUANTILES = tuple(np.linspace(0.1, 1.1, 101).tolist())
WATCHED = Toy(
    task="regression",
    name="watched",
    cubic=0.1,
    features=(numeric("rises", monotone="increasing"), numeric("falls", monotone="decreasing"), numeric("free")),
    weights=np.array([[1.0, 1.0, -1.0]]),
)


def referenced(toy: Toy) -> Toy:
    card = toy.card()
    distribution = Distribution(mean=0.6, quantiles=QUANTILES)
    reference: Reference = card.reference.model_copy(update={"layer_norms": (distribution,)})
    return replace(toy, changes={"reference": reference})


async def ask(client: httpx.AsyncClient, **question: Any) -> dict[str, Any]:
    response = await client.post("/sensitivity", json=question)
    assert response.status_code == 200, response.text
    SensitivityAnswer.model_validate_json(response.content)
    answer: dict[str, Any] = response.json()
    return answer


async def test_layers_come_beside_the_cards_reference(serving: Serving) -> None:
    async with serving(referenced(CLASSIFIER)) as client:
        answer = await ask(client, instances=CLASSIFIER.rows(3).tolist(), include=["layers"])
        assert answer["layer_reference"] == [pytest.approx({"mean": 0.6, "p50": 0.6, "p90": 1.0, "p99": 1.09})]
        for row in answer["predictions"]:
            (norm,), (percentile,) = row["layer_norms"], row["layer_percentiles"]
            assert percentile == pytest.approx(np.interp(norm, QUANTILES, np.arange(101.0)), abs=1e-6)
        assert "layer_reference" not in await ask(client, instances=CLASSIFIER.rows(1).tolist())


async def test_a_card_without_layers_answers_norms_alone(client: httpx.AsyncClient) -> None:
    answer = await ask(client, instances=CUBIC.rows(1).tolist(), model="bent", include=["layers"])
    assert "layer_reference" not in answer
    assert "layer_percentiles" not in answer["predictions"][0]
    assert "violations" not in answer["predictions"][0]


def extracted(toy: Toy, *outputs: str) -> bytes:
    """The toy's Jacobian graph cut down to some of its outputs."""
    graph = Extractor(onnx.load_from_string(toy.graphs["jacobian"])).extract_model(["features"], list(outputs))
    content: bytes = graph.SerializeToString()
    return content


async def test_layers_may_have_a_graph_of_their_own(serving: Serving, client: httpx.AsyncClient) -> None:
    split = CLASSIFIER.with_graph("jacobian", extracted(CLASSIFIER, "jacobian"))
    split = split.with_graph("layers", extracted(CLASSIFIER, "layer_norms"))
    question = {"instances": CLASSIFIER.rows(3).tolist(), "include": ["layers", "jacobian"]}
    async with serving(split) as other:
        assert_same(await ask(other, **question), await ask(client, **question))
        plain = await ask(other, instances=CLASSIFIER.rows(3).tolist())
        assert_same(plain, await ask(client, instances=CLASSIFIER.rows(3).tolist()))


async def test_a_layers_graph_must_answer_layers_alone(serving: Serving) -> None:
    async with serving(CLASSIFIER.with_graph("layers", CLASSIFIER.graphs["jacobian"])) as client:
        reason = (await client.get("/readyz")).json()["models"]["toy"]["1"]["reason"]
        assert "jacobian.onnx: must have exactly the outputs jacobian" in reason


async def test_a_graph_with_other_layers_than_the_card_is_not_served(serving: Serving) -> None:
    card = CLASSIFIER.card()
    layer = Distribution(mean=0.6, quantiles=QUANTILES)
    wrong = replace(CLASSIFIER, changes={"reference": card.reference.model_copy(update={"layer_norms": (layer,) * 2})})
    async with serving(wrong) as client:
        body = (await client.get("/readyz")).json()
        assert "layer_norms" in body["models"]["toy"]["1"]["reason"]


async def test_broken_constraints_are_named_and_counted(serving: Serving) -> None:
    async with serving(WATCHED) as client:
        assert await counts(client) == {"rises": 0.0, "falls": 0.0}
        answer = await ask(client, instances=[[1.0, 2.0, 3.0], [2.0, 1.0, 0.0]], top=1)
        broken = [{"feature": "falls", "declared": "decreasing"}]
        assert [row["violations"] for row in answer["predictions"]] == [broken, broken]
        assert await counts(client) == {"rises": 0.0, "falls": 2.0}
        features = (await client.get("/models/watched")).json()["card"]["features"]
        assert [feature["monotone"] for feature in features] == ["increasing", "decreasing", None]


async def counts(client: httpx.AsyncClient) -> dict[str, float]:
    """The counter by feature."""
    found = {}
    for line in (await client.get("/metrics")).text.splitlines():
        if line.startswith("chainzrule_constraint_violations_total{"):
            found[line.partition('feature="')[2].partition('"')[0]] = float(line.rpartition(" ")[2])
    return found


async def test_the_calibration_is_shown_with_the_card(serving: Serving) -> None:
    calibration = {"rows": 10, "draws": 5, "seed": 1, "noise_scales": [{"noise_scale": 1.0, "volatility_rows": 3}]}
    content = CLASSIFIER.card().model_dump() | {"calibration": calibration}
    shown = type(CLASSIFIER.card()).model_validate(content).calibration
    async with serving(replace(CLASSIFIER, changes={"calibration": shown})) as client:
        card = (await client.get("/models/toy")).json()["card"]
        assert card["calibration"]["rows"] == 10
        assert card["calibration"]["noise_scales"][0]["volatility_rows"] == 3
