"""Models without derivatives of their own: measured by further runs, on request or for a share of the traffic."""

from typing import Any

import httpx
import numpy as np
import pytest

from chainzrule.service.api.schemas.predictions import PredictionAnswer
from chainzrule.service.api.schemas.sensitivities import SensitivityAnswer
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.measures import diagnose
from tests.answers import assert_same, flat
from tests.artifacts import BINARY, CLASSIFIER, CUBIC, REGRESSION, Toy, probed
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio

SMOOTH = (CLASSIFIER, BINARY, CUBIC, REGRESSION)
DIFFERENCES = {toy.name: probed(toy, "finite_difference") for toy in SMOOTH}
DRAWS = {toy.name: probed(toy, "monte_carlo", 4096) for toy in SMOOTH}


async def predict(client: httpx.AsyncClient, **question: Any) -> dict[str, Any]:
    response = await client.post("/predict", json=question)
    assert response.status_code == 200, response.text
    PredictionAnswer.model_validate_json(response.content)
    answer: dict[str, Any] = response.json()
    return answer


async def explain(client: httpx.AsyncClient, **question: Any) -> list[dict[str, Any]]:
    response = await client.post("/sensitivity", json=question)
    assert response.status_code == 200, response.text
    SensitivityAnswer.model_validate_json(response.content)
    predictions: list[dict[str, Any]] = response.json()["predictions"]
    return predictions


@pytest.mark.parametrize("toy", SMOOTH, ids=lambda toy: toy.name)
async def test_differences_say_what_the_derivatives_say(serving: Serving, toy: Toy) -> None:
    other, rows = DIFFERENCES[toy.name], toy.rows(6).tolist()
    async with serving(toy, other) as client:
        asked = {"instances": rows, "include": ["jacobian"], "noise_scale": 2.0}
        exact = await explain(client, model=toy.name, **asked)
        found = await explain(client, model=other.name, **asked)
        plain = await predict(client, model=other.name, instances=rows, measure=True)
    assert plain["method"] == "finite_difference"
    for row, expected in zip(found, exact, strict=True):
        assert (row.pop("method"), expected.pop("method")) == ("finite_difference", "analytic")
        methods = (row["stability"].pop("method"), expected["stability"].pop("method"))
        assert methods == ("finite_difference", "analytic")
        if not toy.names:  # an interval hangs on volatility only where that takes no further runs
            assert row.pop("interval") != expected.pop("interval")
        left, right = flat(row), flat(expected)
        assert left.keys() == right.keys()
        for place, value in right.items():
            assert left[place] == (pytest.approx(value, rel=5e-3, abs=1e-4) if isinstance(value, float) else value), (
                place
            )


@pytest.mark.parametrize("toy", SMOOTH, ids=lambda toy: toy.name)
async def test_draws_say_nearly_what_the_derivatives_say(serving: Serving, toy: Toy) -> None:
    other, rows = DRAWS[toy.name], toy.rows(6)
    async with serving(toy, other) as client:
        found = await explain(client, model=other.name, instances=rows.tolist())
        again = await explain(client, model=other.name, instances=rows[3:].tolist())
    assert_same(again, found[3:])  # the same draws, whichever rows a row comes with
    exact = diagnose(link_of(toy.task, toy.card().scores), toy.scores(rows), toy.covariance(rows), np.ones(6))
    for n, row in enumerate(found):
        stability = row["stability"]
        assert row["method"] == "monte_carlo"
        assert stability["volatility"] == pytest.approx(exact.volatility[n], rel=0.06)
        assert stability["gradient_norm"] == pytest.approx(exact.gradient_norm[n], rel=0.06)
        if toy.task == "classification":
            # four standard errors of a share of 4,096
            p = exact.flip_probability[n]
            assert stability["flip_probability"] == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 4096) + 2e-3)
            assert stability["flip_distance"] is None
            assert stability["runner_up"] == toy.names[exact.runner_up[n]]
        slope = np.einsum("s,sd->d", exact.gradient[n], toy.jacobian(rows[n : n + 1])[0])
        gradients = {entry["feature"]: entry["gradient"] for entry in row["sensitivities"]}
        found_slope = np.array([gradients[feature.name] for feature in toy.features])
        assert np.abs(found_slope - slope).max() <= 0.05 * np.abs(slope).max()


@pytest.mark.parametrize("other", [DIFFERENCES["toy"], DRAWS["toy"]], ids=["differences", "draws"])
async def test_predictions_come_at_once_and_say_that_no_verdict_was_computed(serving: Serving, other: Toy) -> None:
    rows = [*CLASSIFIER.rows(2).tolist(), [99.0, 0.0]]
    async with serving(CLASSIFIER, other, measured_share=0) as client:
        expected = await predict(client, model="toy", instances=rows)
        found = await predict(client, model=other.name, instances=rows)
        on_request = await predict(client, model=other.name, instances=rows, measure=True)
        window = (await client.get(f"/models/{other.name}/stability")).json()["window"]
    assert expected["method"] == "analytic"
    for row, measured, exact in zip(*(answer["predictions"] for answer in (found, on_request, expected)), strict=True):
        assert row["label"] == exact["label"] == measured["label"]
        assert row["probabilities"] == pytest.approx(exact["probabilities"], abs=1e-6)
        outside = exact["stability"]["out_of_range"]
        assert row["stability"] == {"verdict": "not_computed", "out_of_range": outside}
        assert measured["stability"]["verdict"] in ("stable", "elevated", "unstable")
    assert window["samples"] == 3  # those on request alone


async def test_a_share_of_the_traffic_is_measured(serving: Serving) -> None:
    other, row = DIFFERENCES["toy"], CLASSIFIER.rows(1).tolist()
    verdicts = []
    async with serving(other, measured_share=0.5) as client:
        for _ in range(60):
            answer = await predict(client, instances=row)
            verdicts.append(answer["predictions"][0]["stability"]["verdict"])
        samples = (await client.get(f"/models/{other.name}/stability")).json()["window"]["samples"]
    computed = len(verdicts) - verdicts.count("not_computed")
    assert 5 < computed < 55  # a chance of 1e-10 outside
    assert samples == computed


async def test_what_would_take_too_many_runs_is_refused_or_goes_unmeasured(serving: Serving) -> None:
    other, rows = DIFFERENCES["toy"], CLASSIFIER.rows(3).tolist()
    tensor = {"name": "features", "datatype": "FP32", "shape": [3, 2], "data": rows}
    async with serving(other, measured_share=1, max_draws=8) as client:
        unmeasured = await predict(client, instances=rows)
        assert {row["stability"]["verdict"] for row in unmeasured["predictions"]} == {"not_computed"}
        assert (await predict(client, instances=rows[:2]))["predictions"][0]["stability"]["verdict"] != "not_computed"
        for path, question in (("/predict", {"measure": True}), ("/sensitivity", {})):
            response = await client.post(path, json={"instances": rows, **question})
            assert response.status_code == 413
            assert "4 further runs a row" in response.json()["detail"]
            assert "at most 2 rows" in response.json()["detail"]
        infer = f"/v2/models/{other.name}/infer"
        assert (await client.post(infer, json={"inputs": [tensor]})).status_code == 413
        labels = await client.post(infer, json={"inputs": [tensor], "outputs": [{"name": "label"}]})
        assert labels.status_code == 200, labels.text


async def test_layers_are_not_known(serving: Serving) -> None:
    other = DIFFERENCES["toy"]
    async with serving(other) as client:
        question = {"instances": CLASSIFIER.rows(1).tolist(), "include": ["layers"]}
        response = await client.post("/sensitivity", json=question)
    assert (response.status_code, response.json()["place"]) == (422, "include")


@pytest.mark.parametrize("value", [1, "yes", None])
async def test_measure_is_true_or_false(serving: Serving, value: Any) -> None:
    async with serving(CLASSIFIER) as client:
        response = await client.post("/predict", json={"instances": CLASSIFIER.rows(1).tolist(), "measure": value})
    assert (response.status_code, response.json()["place"]) == (422, "measure")


@pytest.mark.parametrize("method", ["finite_difference", "monte_carlo"])
async def test_non_finite_answers_are_refused(serving: Serving, method: Any) -> None:
    other = probed(CUBIC, method, 64)
    async with serving(other, measured_share=0) as client:
        for question in ({"measure": True}, {}):
            response = await client.post("/predict", json={"instances": [[1e30, 1e30]], **question})
            assert response.status_code == 422
