"""`/sensitivity`: the closed form's derivatives, by GET and by POST."""

import threading
from collections.abc import Generator
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from chainzrule.service.api import sensitivity as answering
from chainzrule.service.api.schemas.sensitivities import SensitivityAnswer
from tests.answers import assert_same
from tests.artifacts import (
    BINARY,
    CLASSIFIER,
    CUBIC,
    IMAGE,
    MIXED,
    ORDINAL,
    REGRESSION,
    SILENT,
    Toy,
    categorical,
    numeric,
)
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio
MIXED_ROWS = [[3.0, "red", 1.0, "north"], [3.5, "green", 2.0, "south"], [None, "blue", 1.5, "north"]]
SMOOTH = (CLASSIFIER, BINARY, CUBIC, ORDINAL, REGRESSION, IMAGE)


async def post(client: httpx.AsyncClient, **question: Any) -> dict[str, Any]:
    response = await client.post("/sensitivity", json=question)
    assert response.status_code == 200, response.text
    SensitivityAnswer.model_validate_json(response.content)
    answer: dict[str, Any] = response.json()
    return answer


async def get(client: httpx.AsyncClient, query: str) -> dict[str, Any]:
    response = await client.get(f"/sensitivity?{query}")
    assert response.status_code == 200, response.text
    SensitivityAnswer.model_validate_json(response.content)
    answer: dict[str, Any] = response.json()
    return answer


def output(toy: Toy, row: np.ndarray, label: int) -> float:
    """The reported output in float64."""
    if toy.task == "classification":
        return float(toy.probabilities(row[None])[0, label])
    s = toy.scores(row[None])[0]
    return float((1 / (1 + np.exp(-s))).sum() if toy.task == "ordinal" else s[0])


@pytest.mark.parametrize("toy", SMOOTH, ids=lambda toy: toy.name)
async def test_gradients_are_central_differences_of_the_output(client: httpx.AsyncClient, toy: Toy) -> None:
    rows = toy.rows(3)
    answer = await post(client, instances=rows.tolist(), model=toy.name, noise_scale=2.0)
    names = [feature.name for feature in toy.card().inputs()]
    for row, found in zip(rows, answer["predictions"], strict=True):
        assert found["method"] == "analytic"
        entries = found["sensitivities"]
        assert sorted(entry["feature"] for entry in entries) == sorted(names)
        label = int(toy.scores(row[None])[0].argmax())
        for entry in entries:
            column = names.index(entry["feature"])
            step = np.zeros(len(row))
            step[column] = 1e-5 * toy.columns[1][column]
            slope = (output(toy, row + step, label) - output(toy, row - step, label)) / (2 * step[column])
            assert entry["gradient"] == pytest.approx(slope, rel=1e-3, abs=1e-7)
            assert entry["value"] == row[column]
            assert entry["effect"] == pytest.approx(2.0 * entry["gradient"] * toy.columns[2][column])
        assert sum(entry["share"] for entry in entries) == pytest.approx(1.0)
        effects = [abs(entry["effect"]) for entry in entries]
        assert effects == sorted(effects, reverse=True)


async def test_every_row_is_answered_as_by_predict(client: httpx.AsyncClient) -> None:
    rows = CLASSIFIER.rows(16).tolist()
    explained = await post(client, instances=rows, noise_scale=1.5, confidence=0.7)
    predicted = (await client.post("/predict", json={"instances": rows, "noise_scale": 1.5, "confidence": 0.7})).json()
    for row in explained["predictions"]:
        assert row.pop("method") == predicted["method"]
        del row["sensitivities"]
    del predicted["method"]
    assert_same(explained, predicted)


async def test_get_answers_as_post(client: httpx.AsyncClient) -> None:
    posted = await post(client, instances=[[1.5, -2.0]], model="toy", noise_scale=0.5, top=1, include=["layers"])
    rest = "model=toy&version=1&noise_scale=0.5&top=1&include=layers"
    for x in ("1.5,-2", " 1.5 , -2.0e0", "+1.5,-.2e1", "[1.5,-2]", '{"weight": -2, "height": 1.5}'):
        assert await get(client, f"x={quote(x)}&{rest}") == posted
    assert (await get(client, "x=1.5,-2"))["model"] == "toy"
    assert (await get(client, "x=1.5%2C-2"))["predictions"] == (await get(client, "x=1.5,-2"))["predictions"]


async def test_get_reads_levels_and_gaps(client: httpx.AsyncClient) -> None:
    posted = await post(client, instances=[[None, "blue", 1.0, "north"]], model="mixed")
    assert await get(client, "model=mixed&x=,blue,1.0,north") == posted
    assert await get(client, "model=mixed&x=" + quote('[null,"blue",1.0,"north"]')) == posted


async def test_errors_of_get_name_what_the_query_calls_the_row(client: httpx.AsyncClient) -> None:
    for query, place in (
        ("model=bent&x=1e20,0", "x"),  # what the model answers is not finite
        ("model=mixed&x=1,pink,1,north", "x.colour"),
        ("model=mixed&x=" + quote('{"age":1,"dose":2,"site":"north"}'), "x.colour"),
        ("model=mixed&x=" + quote("[1,2,3]"), "x"),
    ):
        response = await client.get(f"/sensitivity?{query}")
        assert (response.status_code, response.json()["place"]) == (422, place)


BRACKETS = Toy(name="brackets", features=(categorical("band", "[lo]", "{hi", " wide "), numeric("dose")), seed=9)


async def test_get_reads_levels_that_look_like_json_and_passes_over_spaces(serving: Serving) -> None:
    async with serving(BRACKETS) as client:
        for text, level in (
            ("[lo],0.5", "[lo]"),
            (" [lo] , 0.5 ", "[lo]"),
            ("{hi,0.5", "{hi"),
            (" wide ,0.5", " wide "),
            ('["[lo]",0.5]', "[lo]"),
            ('{"dose":0.5,"band":"{hi"}', "{hi"),
        ):
            assert await get(client, "x=" + quote(text)) == await post(client, instances=[[level, 0.5]])
        for text, status, place in (
            ("[xx],0.5", 422, "x.band"),
            ("wide,0.5", 422, "x.band"),
            (",0.5", 422, "x.band"),
            ("[lo],", 422, "x.dose"),
            ("[lo],0.5,1", 400, "x"),
            ("[lo", 400, "x"),
            ('["[lo]"]', 422, "x"),
            ("[lo],1e999", 422, "x.dose"),
        ):
            response = await client.get("/sensitivity?x=" + quote(text))
            assert (response.status_code, response.json()["place"]) == (status, place), text


async def test_switches_are_what_predicting_the_other_level_changes(client: httpx.AsyncClient) -> None:
    row = [2.0, "red", 0.5, "south"]
    found = (await post(client, instances=[row], model="mixed"))["predictions"][0]
    entries = {entry["feature"]: entry for entry in found["sensitivities"]}
    colour = entries["colour"]
    assert (colour["value"], colour["gradient"], colour["effect"], colour["share"]) == ("red", None, None, None)
    assert set(colour["switch"]) == {"green", "blue"}
    assert set(entries["site"]["switch"]) == {"north"}
    label = found["label"]
    for feature, at in (("colour", 1), ("site", 3)):
        for level, change in entries[feature]["switch"].items():
            other = [*row[:at], level, *row[at + 1 :]]
            answer = (await client.post("/predict", json={"instances": [other], "model": "mixed"})).json()
            difference = answer["predictions"][0]["probabilities"][label] - found["probabilities"][label]
            assert change == pytest.approx(difference, abs=1e-6)
    # By strength, whatever their kind; a feature without noise is last.
    assert found["sensitivities"][-1]["feature"] == "dose"
    strengths = [
        abs(entry["effect"]) if entry["effect"] is not None else max(map(abs, entry["switch"].values()))
        for entry in found["sensitivities"]
    ]
    assert strengths == sorted(strengths, reverse=True)


async def test_switches_of_every_row(client: httpx.AsyncClient) -> None:
    rows = [[1.0, "red", 0.0, "south"], [1.0, "blue", 0.0, "north"]]
    together = await post(client, instances=rows, model="mixed")
    for row, found in zip(rows, together["predictions"], strict=True):
        assert_same(found, (await post(client, instances=[row], model="mixed"))["predictions"][0])


@pytest.mark.parametrize("task", ["regression", "ordinal"])
async def test_switches_of_values(serving: Serving, task: Any) -> None:
    toy = Toy(task=task, name="t", features=MIXED.features, seed=8)
    async with serving(toy) as client:
        row = [1.0, "red", 0.0, "south"]
        found = (await post(client, instances=[row]))["predictions"][0]
        switch = next(entry["switch"] for entry in found["sensitivities"] if entry["feature"] == "colour")
        other = (await client.post("/predict", json={"instances": [[1.0, "blue", 0.0, "south"]]})).json()
        assert switch["blue"] == pytest.approx(other["predictions"][0]["value"] - found["value"], abs=1e-5)


async def test_top(client: httpx.AsyncClient) -> None:
    rows = IMAGE.rows(1).tolist()
    whole = (await post(client, instances=rows, model="image"))["predictions"][0]["sensitivities"]
    assert len(whole) == 6
    for top in (1, 4, 6, 1000):
        found = (await post(client, instances=rows, model="image", top=top))["predictions"][0]["sensitivities"]
        assert found == whole[:top]


async def test_include_adds_the_jacobian_and_the_layers(client: httpx.AsyncClient) -> None:
    rows = np.array([[2.0, 1, 0, 0, 0.5, 0, 1]])
    row = [2.0, "red", 0.5, "south"]
    found = await post(client, instances=[row], model="mixed", include=["jacobian", "layers"])
    prediction = found["predictions"][0]
    np.testing.assert_allclose(prediction["jacobian"], MIXED.jacobian(rows)[0], rtol=1e-5)
    assert found["jacobian_axes"]["scores"] == ["no", "yes", "maybe"]
    assert found["jacobian_axes"]["columns"] == [
        "age", "colour=red", "colour=green", "colour=blue", "dose", "site=north", "site=south",
    ]  # fmt: skip
    norm = np.linalg.norm(MIXED.jacobian(rows)[0] * MIXED.columns[2])
    assert prediction["layer_norms"] == pytest.approx([norm], rel=1e-5)
    assert found["layers"] == ["scores"]
    plain = await post(client, instances=[row], model="mixed", include=[])
    assert not {"jacobian_axes", "layers"} & plain.keys()
    assert not {"jacobian", "layer_norms"} & plain["predictions"][0].keys()
    ordinal = await post(client, instances=[[1.0, 1.0]], model="graded", include=["jacobian"])
    assert ordinal["jacobian_axes"]["scores"] == ["> one", "> two", "> three"]
    amount = await post(client, instances=[[1.0, 1.0]], model="amount", include=["jacobian"])
    assert amount["jacobian_axes"]["scores"] == ["target"]


async def test_without_noise_nothing_has_a_share(client: httpx.AsyncClient) -> None:
    found = (await post(client, instances=[[1.0, 2.0]], model="silent"))["predictions"][0]
    assert [entry["share"] for entry in found["sensitivities"]] == [0.0, 0.0]
    assert [entry["effect"] for entry in found["sensitivities"]] == [0.0, 0.0]
    assert all(entry["gradient"] != 0.0 for entry in found["sensitivities"])
    assert SILENT.columns[2].tolist() == [0.0, 0.0]


async def test_a_layer_norm_that_overflows_is_refused_and_never_null(serving: Serving) -> None:
    # Each derivative is a float32, but not the root of their squares' sum.
    def steep(noise: float) -> Toy:
        feature = numeric("x", mean=0.0, std=1.0, noise=noise)
        return Toy(name="steep", labels=("a", "b"), features=(feature,), weights=np.array([[1e30], [-1e30]]))

    async with serving(steep(0.0).with_graph("jacobian", steep(1.0).graphs["jacobian"])) as client:
        response = await client.post("/sensitivity", json={"instances": [[0.0]], "include": ["layers"]})
        assert response.status_code == 422, response.text
        assert response.json()["type"].endswith("non-finite-output")


@pytest.mark.parametrize(
    ("bound", "toy", "question"),
    [
        ("MAX_ENTRIES", CLASSIFIER, {}),
        ("MAX_JACOBIAN", CLASSIFIER, {"include": ["jacobian"]}),
        ("MAX_SWITCHES", MIXED, {}),
    ],
)
async def test_answers_that_would_be_too_large_are_refused_before_any_work(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, bound: str, toy: Toy, question: dict[str, Any]
) -> None:
    rows = MIXED_ROWS[:2] if toy is MIXED else toy.rows(2).tolist()
    ask = {"instances": rows, "model": toy.name, **question}
    assert (await client.post("/sensitivity", json=ask)).status_code == 200
    monkeypatch.setattr(f"chainzrule.service.serving.explain.{bound}", 3)
    refused = await client.post("/sensitivity", json=ask)
    assert refused.status_code == 413
    assert "fewer rows" in refused.json()["detail"]
    if bound == "MAX_ENTRIES":
        assert (await client.post("/sensitivity", json={**ask, "top": 1})).status_code == 200


async def test_switches_run_in_pieces_give_the_same_changes(serving: Serving) -> None:
    question = {"instances": MIXED_ROWS, "model": MIXED.name}
    answers = []
    for rows in (1024, 2):
        async with serving(MIXED, max_batch_rows=rows) as client:
            answers.append((await client.post("/sensitivity", json=question)).json()["predictions"])
    assert_same(answers[0], answers[1])


@pytest.mark.parametrize(
    ("most", "include", "aside"), [(8, [], False), (7, [], True), (8, ["jacobian"], True), (8, ["layers"], True)]
)
async def test_large_answers_are_written_beside_the_event_loop(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, most: int, include: list[str], aside: bool
) -> None:
    threads: list[threading.Thread] = []
    write = answering.explanation_body

    def noted(*arguments: Any) -> Generator[None, None, bytes]:
        threads.append(threading.current_thread())
        return (yield from write(*arguments))

    monkeypatch.setattr(answering, "explanation_body", noted)
    monkeypatch.setattr(answering, "INLINE_ENTRIES", most)  # two rows of four features
    async with serving(MIXED) as client:
        await post(client, instances=MIXED_ROWS[:2], include=include)
    assert [thread is not threading.main_thread() for thread in threads] == [aside]
