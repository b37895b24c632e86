"""`POST /predict`: answers in closed form, valid by their schema."""

import asyncio
import json
from typing import Any

import httpx
import numpy as np
import pytest

from chainzrule.service.api.predict import LARGE_ANSWER
from chainzrule.service.api.schemas.predictions import PredictionAnswer
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.measures import diagnose
from tests.answers import assert_same
from tests.artifacts import ALL, BINARY, CLASSIFIER, CUBIC, IMAGE, MIXED, ORDINAL, REGRESSION, SLOW, Toy, normal_tail
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio


async def predict(client: httpx.AsyncClient, **question: Any) -> dict[str, Any]:
    response = await client.post("/predict", json=question)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    answer: dict[str, Any] = response.json()
    PredictionAnswer.model_validate_json(response.content)
    return answer


def rows_of(toy: Toy, count: int, seed: int = 1) -> tuple[np.ndarray, list[list[Any]]]:
    """Encoded rows, and the same as a caller sends them."""
    encoded = toy.rows(count, seed)
    if toy is not MIXED:
        return encoded, encoded.tolist()
    colours, sites = ["red", "green", "blue"], ["north", "south"]
    return encoded, [
        [float(r[0]), colours[int(r[1:4].argmax())], float(r[4]), sites[int(r[5:].argmax())]] for r in encoded
    ]


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
async def test_answers_are_those_of_the_closed_form(client: httpx.AsyncClient, toy: Toy) -> None:
    encoded, sent = rows_of(toy, 7)
    answer = await predict(client, instances=sent, model=toy.name)
    assert (answer["model"], answer["version"]) == (toy.name, "1")
    expected = diagnose(link_of(toy.task, toy.card().scores), toy.scores(encoded), toy.covariance(encoded), np.ones(7))
    for row, found in enumerate(answer["predictions"]):
        stability = found["stability"]
        assert stability["volatility"] == pytest.approx(expected.volatility[row], rel=1e-3, abs=1e-9)
        assert stability["gradient_norm"] == pytest.approx(expected.gradient_norm[row], rel=1e-3, abs=1e-9)
        if toy.task != "regression":
            assert found["label"] == toy.names[expected.label[row]]
            probabilities = dict(zip(toy.names, toy.probabilities(encoded)[row], strict=True))
            assert found["probabilities"] == pytest.approx(probabilities, abs=1e-6)
            assert sum(found["probabilities"].values()) == pytest.approx(1.0)
            assert stability["flip_probability"] == pytest.approx(expected.flip_probability[row], rel=1e-2, abs=1e-9)
        if toy.task != "classification":
            assert found["value"] == pytest.approx(expected.value[row], rel=1e-5)


async def test_rows_as_lists_and_as_objects(client: httpx.AsyncClient) -> None:
    _, sent = rows_of(MIXED, 3)
    objects = [dict(zip(("age", "colour", "dose", "site"), row, strict=True)) for row in sent]
    lists = await predict(client, instances=sent, model="mixed")
    assert await predict(client, instances=objects, model="mixed") == lists
    assert await predict(client, instances=[sent[0], *objects[1:]], model="mixed") == lists


async def test_gaps_are_filled(client: httpx.AsyncClient) -> None:
    gap = await predict(client, instances=[[None, None, 1.0, "south"]], model="mixed")
    assert gap == await predict(client, instances=[[3.5, "green", 1.0, "south"]], model="mixed")


async def test_an_image_row_by_row(client: httpx.AsyncClient) -> None:
    by_name = {f"pixel_{row}_{column}": 10 * row + column for row in range(2) for column in range(3)}
    listed = await predict(client, instances=[[0, 1, 2, 10, 11, 12]], model="image")
    assert await predict(client, instances=[by_name], model="image") == listed
    expected = IMAGE.probabilities(np.array([[0, 1, 2, 10, 11, 12.0]]))[0]
    assert list(listed["predictions"][0]["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-6)


async def test_the_default_model_and_version(client: httpx.AsyncClient) -> None:
    rows = [[1.0, -1.0]]
    default = await predict(client, instances=rows)
    assert default["model"] == "toy"
    assert await predict(client, instances=rows, model=None, version=None) == default
    assert await predict(client, instances=rows, model="toy", version="1") == default


async def test_the_answers_keep_the_order_of_the_instances(client: httpx.AsyncClient) -> None:
    _, sent = rows_of(CLASSIFIER, 64)
    whole = (await predict(client, instances=sent))["predictions"]
    backwards = (await predict(client, instances=sent[::-1]))["predictions"]
    assert_same(backwards[::-1], whole)
    for row in (0, 31, 63):
        assert_same((await predict(client, instances=[sent[row]]))["predictions"], [whole[row]])


async def test_requests_at_once_answer_as_alone(client: httpx.AsyncClient) -> None:
    _, sent = rows_of(CLASSIFIER, 40)
    alone = [await predict(client, instances=[row], noise_scale=1.0 + n % 3) for n, row in enumerate(sent)]
    together = await asyncio.gather(
        *(predict(client, instances=[row], noise_scale=1.0 + n % 3) for n, row in enumerate(sent))
    )
    assert_same(together, alone)


async def test_each_request_has_its_own_confidence(client: httpx.AsyncClient) -> None:
    rows, asked = CLASSIFIER.rows(9).tolist(), (0.5, 0.9, 0.995)
    alone = [await predict(client, instances=[row], confidence=asked[n % 3]) for n, row in enumerate(rows)]
    together = await asyncio.gather(
        *(predict(client, instances=[row], confidence=asked[n % 3]) for n, row in enumerate(rows))
    )
    for n, (one, other) in enumerate(zip(alone, together, strict=True)):
        assert one["confidence"] == other["confidence"] == asked[n % 3]
        [row], [beside] = one["predictions"], other["predictions"]
        assert not row["set"] or row["label"] in row["set"]
        assert row["set"] == beside["set"] == sorted(row["set"], key=CLASSIFIER.names.index)
        if asked[n % 3] == 0.995:  # for which 99 rows are too few
            assert row["set"] == list(CLASSIFIER.names)
    assert (await predict(client, instances=rows[:1]))["confidence"] == 0.9


async def test_levels_in_a_set_are_in_order_and_an_interval_holds_its_value(client: httpx.AsyncClient) -> None:
    for row in (await predict(client, instances=ORDINAL.rows(20).tolist(), model="graded"))["predictions"]:
        assert row["set"]
        first = ORDINAL.names.index(row["set"][0])
        assert row["set"] == list(ORDINAL.names[first : first + len(row["set"])])
        assert row["label"] in row["set"]
    for confidence, ends in ((0.9, float), (0.995, type(None))):
        answer = await predict(client, instances=[[1.0, 2.0]], model="amount", confidence=confidence)
        [row] = answer["predictions"]
        assert [type(end) for end in row["interval"]] == [ends, ends]
        if confidence == 0.9:
            assert sum(row["interval"]) / 2 == pytest.approx(row["value"])
            half = 1.8 * (2.5 + 1.5 * row["stability"]["gradient_norm"])
            assert row["interval"][1] - row["value"] == pytest.approx(half)


async def test_noise_scale(client: httpx.AsyncClient) -> None:
    row = [[1.2, -0.9]]
    answers = [
        (await predict(client, instances=row, model="binary", noise_scale=scale))["predictions"][0]["stability"]
        for scale in (1, 2.0, 100)
    ]
    for scale, stability in zip((1, 2, 100), answers, strict=True):
        assert stability["flip_distance"] == pytest.approx(answers[0]["flip_distance"] / scale)
        assert stability["flip_probability"] == pytest.approx(normal_tail(stability["flip_distance"]))
        assert stability["gradient_norm"] == answers[0]["gradient_norm"]
    assert [stability["percentile"] is None for stability in answers] == [False, True, True]


async def test_out_of_range_is_listed_and_never_refused(client: httpx.AsyncClient) -> None:
    stability = (await predict(client, instances=[[1e4, 0.0]]))["predictions"][0]["stability"]
    assert stability["out_of_range"] == ["height"]
    assert "out_of_range" in stability["reasons"]
    assert stability["verdict"] != "stable"


async def test_an_output_that_is_not_finite_is_refused_with_its_row(client: httpx.AsyncClient) -> None:
    good = rows_of(CUBIC, 1)[1][0]
    response = await client.post("/predict", json={"instances": [good, [1e20, 0.0]], "model": "bent"})
    assert response.status_code == 422
    problem = response.json()
    assert problem["type"].endswith(":non-finite-output")
    assert problem["place"] == "instances[1]"


async def test_a_row_that_is_not_finite_harms_only_its_own_request(client: httpx.AsyncClient) -> None:
    good = rows_of(CUBIC, 1)[1][0]
    expected = await predict(client, instances=[good], model="bent")
    bodies = [[good], [[1e20, 0.0]], [good], [good, [0.0, 1e20]], [good]]
    responses = await asyncio.gather(
        *(client.post("/predict", json={"instances": rows, "model": "bent"}) for rows in bodies)
    )
    assert [response.status_code for response in responses] == [200, 422, 200, 422, 200]
    for response in responses[::2]:
        assert_same(response.json(), expected)
    assert responses[1].json()["place"] == "instances[0]"
    assert responses[3].json()["place"] == "instances[1]"


async def test_numbers_are_json_numbers_of_full_precision(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", json={"instances": [[1.0, -1.0]], "model": "amount"})
    value = json.loads(response.text)["predictions"][0]["value"]
    expected = REGRESSION.scores(np.array([[1.0, -1.0]]))[0, 0]
    assert value == pytest.approx(expected, abs=1e-6)
    assert "NaN" not in response.text
    assert "Infinity" not in response.text


async def test_charset_and_spelling_of_the_content_type(client: httpx.AsyncClient) -> None:
    body = b'{"instances": [[1.0, 2.0]]}'
    for content_type in (
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        " application/json ",
    ):
        response = await client.post("/predict", content=body, headers={"Content-Type": content_type})
        assert response.status_code == 200, content_type


async def test_a_large_request_through_the_worker(serving: Serving) -> None:
    encoded, sent = rows_of(ORDINAL, 3000)
    async with serving(ORDINAL, inline_milliseconds=0) as client:
        answer = await predict(client, instances=sent)
    assert len(answer["predictions"]) == 3000
    values = [found["value"] for found in answer["predictions"]]
    np.testing.assert_allclose(values, (1 / (1 + np.exp(-ORDINAL.scores(encoded)))).sum(axis=1), rtol=1e-5)


async def test_a_deadline_that_passes_answers_504_and_the_service_goes_on(serving: Serving) -> None:
    async with serving(SLOW, inline_milliseconds=0) as client:
        slow = {"instances": [[1e6, 0.0]]}
        response = await client.post("/predict", json=slow, headers={"X-Request-Timeout": "0.05"})
        assert response.status_code == 504
        assert response.json()["type"].endswith(":deadline-exceeded")
        answer = await predict(client, instances=[[0.0, 0.0]])
        expected = SLOW.probabilities(np.zeros((1, 2)))[0].tolist()
        assert list(answer["predictions"][0]["probabilities"].values()) == pytest.approx(expected, abs=1e-6)


async def test_the_settings_deadline_holds_and_headers_can_only_shorten_it(serving: Serving) -> None:
    async with serving(SLOW, inline_milliseconds=0, request_timeout=0.1) as client:
        for headers in ({}, {"X-Request-Timeout": "60"}):
            response = await client.post("/predict", json={"instances": [[1e6, 0.0]]}, headers=headers)
            assert response.status_code == 504


async def test_a_full_queue_answers_429_with_retry_after(serving: Serving) -> None:
    async with serving(SLOW, inline_milliseconds=0, max_queue_rows=2) as client:
        busy = asyncio.create_task(predict(client, instances=[[4e5, 0.0]]))
        await asyncio.sleep(0.1)
        queued = asyncio.create_task(predict(client, instances=[[0.0, 0.0], [1.0, 0.0]]))
        await asyncio.sleep(0.02)
        response = await client.post("/predict", json={"instances": [[0.0, 0.0]]})
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) >= 1
        assert response.json()["type"].endswith(":queue-full")
        assert len((await queued)["predictions"]) == 2
        assert len((await busy)["predictions"]) == 1


async def test_the_loop_answers_others_while_the_worker_is_busy(serving: Serving) -> None:
    async with serving(SLOW, BINARY, inline_milliseconds=0) as client:
        busy = asyncio.create_task(predict(client, instances=[[4e5, 0.0]], model="slow"))
        await asyncio.sleep(0.05)
        await predict(client, instances=[[0.0, 0.0]], model="binary")
        assert (await client.get("/healthz")).status_code == 200
        assert not busy.done()
        await busy


@pytest.mark.parametrize("toy", [CLASSIFIER, REGRESSION], ids=lambda toy: toy.name)
async def test_many_rows_are_answered_as_one_by_one(serving: Serving, toy: Toy) -> None:
    rows = toy.rows(3 * LARGE_ANSWER).tolist()
    async with serving(toy) as client:
        whole = (await predict(client, instances=rows))["predictions"]
        assert len(whole) == len(rows)
        for start in range(0, len(rows), LARGE_ANSWER):
            part = (await predict(client, instances=rows[start : start + LARGE_ANSWER]))["predictions"]
            for one, other in zip(whole[start : start + LARGE_ANSWER], part, strict=True):
                assert_same(one, other)
