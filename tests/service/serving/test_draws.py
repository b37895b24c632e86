"""`POST /sensitivity` with `method=monte_carlo`: counted answers beside the closed form's."""

import asyncio
import time
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.api.schemas.sensitivities import SensitivityAnswer
from chainzrule.service.serving import draws as drawing
from chainzrule.service.serving.version import ServedModel
from tests.answers import assert_same
from tests.artifacts import BINARY, CLASSIFIER, CUBIC, IMAGE, MIXED, ORDINAL, REGRESSION, SILENT, Toy, numeric
from tests.service.conftest import Serving
from tests.service.serving.conftest import Load

pytestmark = pytest.mark.anyio


async def ask(client: httpx.AsyncClient, **question: Any) -> list[dict[str, Any]]:
    response = await client.post("/sensitivity", json={"method": "monte_carlo", **question})
    assert response.status_code == 200, response.text
    SensitivityAnswer.model_validate_json(response.content)
    predictions: list[dict[str, Any]] = response.json()["predictions"]
    return predictions


@pytest.mark.parametrize("toy", [CLASSIFIER, BINARY, ORDINAL, REGRESSION, IMAGE], ids=lambda toy: toy.name)
async def test_draws_agree_with_the_closed_form_within_their_intervals(client: httpx.AsyncClient, toy: Toy) -> None:
    rows = toy.rows(4)
    for row in await ask(client, instances=rows.tolist(), model=toy.name, noise_scale=2.0, draws=4000):
        counted, stated = row["monte_carlo"], row["stability"]
        assert (counted["draws"], counted["seed"]) == (4000, 0)
        low, high = counted["volatility_interval"]
        assert low <= counted["volatility"] <= high
        # Twice as wide: of twenty intervals one misses, and the closed form is one by quadrature.
        assert abs(stated["volatility"] - counted["volatility"]) <= (high - low) + 0.02 * high
        assert ("flip_probability" in counted) == (toy.task != "regression")
        if toy.task != "regression":
            low, high = counted["flip_probability_interval"]
            assert low <= counted["flip_probability"] <= high
            assert abs(stated["flip_probability"] - counted["flip_probability"]) <= (high - low) + 0.005


async def test_the_same_question_has_the_same_answer_and_another_seed_another(client: httpx.AsyncClient) -> None:
    rows = CUBIC.rows(3).tolist()
    first = await ask(client, instances=rows, model="bent", draws=700)
    assert_same(first, await ask(client, instances=rows, model="bent", draws=700, seed=0))
    # A row meets the same draws whichever rows it comes with.
    assert (await ask(client, instances=rows[2:], model="bent", draws=700))[0]["monte_carlo"] == first[2]["monte_carlo"]
    other = await ask(client, instances=rows, model="bent", draws=700, seed=1)
    assert other[0]["monte_carlo"]["volatility"] != first[0]["monte_carlo"]["volatility"]


async def test_everything_else_is_as_without_draws(client: httpx.AsyncClient) -> None:
    rows = CLASSIFIER.rows(2).tolist()
    drawn = await ask(client, instances=rows, draws=50, top=1, include=["layers"])
    plain = await client.post("/sensitivity", json={"instances": rows, "top": 1, "include": ["layers"]})
    for row in drawn:
        del row["monte_carlo"]
    assert_same(drawn, plain.json()["predictions"])
    named = await client.post(
        "/sensitivity", json={"instances": rows, "top": 1, "include": ["layers"], "method": "analytic"}
    )
    assert_same(named.json(), plain.json())


async def test_without_noise_nothing_moves_and_levels_stay(client: httpx.AsyncClient) -> None:
    counted = (await ask(client, instances=SILENT.rows(1).tolist(), model="silent", draws=20))[0]["monte_carlo"]
    assert counted["volatility"] == 0.0
    assert counted["flip_probability"] == 0.0
    row = (await ask(client, instances=[[3.0, "red", 1.0, "north"]], model="mixed", draws=2000))[0]
    low, high = row["monte_carlo"]["volatility_interval"]
    assert abs(row["stability"]["volatility"] - row["monte_carlo"]["volatility"]) <= high - low + 1e-4
    assert MIXED.columns[2][1:4].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("changes", "status", "place"),
    [
        ({"method": "guess"}, 422, "method"),
        ({"method": 1}, 422, "method"),
        ({"draws": 1}, 422, "draws"),
        ({"draws": 2.5}, 422, "draws"),
        ({"draws": True}, 422, "draws"),
        ({"draws": 10**9}, 413, "draws"),
        ({"seed": -1}, 422, "seed"),
        ({"seed": 2**32}, 422, "seed"),
        ({"method": "analytic", "draws": 10}, 422, "draws"),
        ({"method": "analytic", "seed": 10}, 422, "seed"),
    ],
)
async def test_questions_that_cannot_be_answered(
    client: httpx.AsyncClient, changes: dict[str, Any], status: int, place: str
) -> None:
    question = {"instances": [[1.0, 2.0]], "method": "monte_carlo", **changes}
    response = await client.post("/sensitivity", json=question)
    assert (response.status_code, response.json()["place"]) == (status, place), response.text


async def test_the_cap_counts_all_rows(serving: Serving) -> None:
    async with serving(CLASSIFIER, max_draws=100) as client:
        question = {"instances": CLASSIFIER.rows(2).tolist(), "method": "monte_carlo"}
        assert (await client.post("/sensitivity", json={**question, "draws": 50})).status_code == 200
        refused = await client.post("/sensitivity", json={**question, "draws": 51})
        assert refused.status_code == 413
        assert "100 draws" in refused.json()["detail"]


async def test_what_cannot_be_run_in_time_is_refused_before_any_work(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(CLASSIFIER, max_draws=10_000_000) as client:
        question = {"instances": [[1.0, 2.0]], "method": "monte_carlo", "draws": 10_000_000}
        begin = time.process_time()  # of all threads, and of nobody else
        refused = await client.post("/sensitivity", json=question, headers={"X-Request-Timeout": "0.5"})
        assert refused.status_code == 413
        assert time.process_time() - begin < 0.4


async def test_draws_that_explode_are_refused(serving: Serving) -> None:
    wild = Toy(name="wild", cubic=0.1, features=(numeric("height", noise=1e13), numeric("weight")), seed=4)
    async with serving(wild) as client:
        question = {"instances": [[1.0, 1.0]], "method": "monte_carlo", "draws": 50, "noise_scale": 100}
        response = await client.post("/sensitivity", json=question)
        assert (response.status_code, response.json()["place"]) == (422, "instances")
        assert response.json()["type"].endswith("non-finite-output")
        assert "lower noise_scale" in response.json()["detail"]


async def test_others_are_answered_meanwhile_and_draws_enter_no_metric(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        rows = CLASSIFIER.rows(4)
        drawing = asyncio.create_task(ask(client, instances=rows.tolist(), draws=20_000))
        await asyncio.sleep(0.02)
        answered = 0
        while not drawing.done():
            response = await client.post("/predict", json={"instances": [rows[0].tolist()], "observe": False})
            assert response.status_code == 200
            answered += 1
        assert len(await drawing) == 4
        assert answered >= 10
        metrics = (await client.get("/metrics")).text
        assert "chainzrule_batch_rows_count" in metrics  # the runs are there, and none of their rows
        assert "chainzrule_prediction_volatility_count" not in metrics
        summary = (await client.get("/models/toy/stability")).json()
        assert summary["window"]["samples"] == 0


async def test_draws_follow_the_noise_they_are_told_of(client: httpx.AsyncClient) -> None:
    row = CUBIC.rows(1)
    found = await ask(client, instances=row.tolist(), model="bent", draws=20_000, noise_scale=3.0)
    random = np.random.default_rng(9)
    moved = CUBIC.scores(row + 3.0 * CUBIC.columns[2] * random.normal(size=(20_000, 2)))
    label = CUBIC.scores(row)[0].argmax()
    low, high = found[0]["monte_carlo"]["flip_probability_interval"]
    assert abs(found[0]["monte_carlo"]["flip_probability"] - (moved.argmax(axis=1) != label).mean()) <= high - low


@pytest.mark.parametrize(("toy", "draws", "batches"), [
    (CLASSIFIER, 3, [3]),
    (CLASSIFIER, 256, [256]),
    (CLASSIFIER, 600, [256, 256, 88]),
    (IMAGE, 5, [2, 2, 1]),
])  # fmt: skip
async def test_as_many_rows_are_drawn_as_were_asked_for_and_few_at_a_time(
    load: Load, monkeypatch: pytest.MonkeyPatch, toy: Toy, draws: int, batches: list[int]
) -> None:
    served, run = await load(toy), []

    async def watched(features: NDArray[np.float32], deadline: float) -> NDArray[np.float32]:
        run.append(len(features))
        return await ServedModel.sample(served, features, deadline)

    monkeypatch.setattr(served, "sample", watched)
    if toy is IMAGE:
        monkeypatch.setattr(drawing, "BATCH_VALUES", 2 * 6 + 1)  # of six pixels each
    rows = toy.rows(2)
    deadline = asyncio.get_running_loop().time() + 30
    found = await drawing.sample(
        served,
        rows.astype(np.float32),
        toy.scores(rows).astype(np.float32),
        served.model.rows.errors,
        1.0,
        draws,
        [0, 0],
        deadline,
    )
    assert len(found) == 2
    assert run == 2 * batches
