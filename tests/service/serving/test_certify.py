"""`POST /sensitivity` with `radius` and `box`: guarantees beside the extremes that these models really take."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest

from chainzrule.service.api.schemas.sensitivities import SensitivityAnswer
from chainzrule.service.artifact.noise import NoiseModel
from chainzrule.service.runtime.bounds import Bounds, Boxes
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.serving import certify as certifying
from chainzrule.service.serving.explain import explain
from chainzrule.service.serving.question import Allowance, Question
from chainzrule.service.serving.version import ServedModel
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
    normal_tail,
    numeric,
    tensor,
)
from tests.service.conftest import serve
from tests.service.serving.bounded import bounded
from tests.service.serving.conftest import Load

pytestmark = pytest.mark.anyio

TOYS = [CLASSIFIER, BINARY, ORDINAL, REGRESSION, CUBIC, IMAGE, MIXED]


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose models can certify, but for `silent`."""
    toys = [*(bounded(toy) for toy in TOYS), SILENT]
    async with serve(tmp_path_factory.mktemp("models"), *toys, default_model="toy", max_certificates=8) as serving:
        yield serving


async def ask(client: httpx.AsyncClient, toy: Toy, **question: Any) -> list[dict[str, Any]]:
    response = await client.post("/sensitivity", json={"model": toy.name, **question})
    assert response.status_code == 200, response.text
    SensitivityAnswer.model_validate_json(response.content)
    predictions: list[dict[str, Any]] = response.json()["predictions"]
    return predictions


def points(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Rows of a box, drawn and at its corners."""
    random = np.random.default_rng(0)
    steps = random.uniform(0, 1, (4000, len(low)))
    return low + (high - low) * np.concatenate([steps, np.round(steps)])


@pytest.mark.parametrize("toy", [CLASSIFIER, BINARY, ORDINAL, REGRESSION, CUBIC, IMAGE], ids=lambda toy: toy.name)
async def test_nothing_escapes_what_is_answered(client: httpx.AsyncClient, toy: Toy) -> None:
    rows, noise = toy.rows(3), toy.columns[2]
    for row, answer in zip(rows, await ask(client, toy, instances=rows.tolist(), radius=1.5), strict=True):
        certificate = answer["certificate"]
        inside = points(row - 1.5 * noise, row + 1.5 * noise)
        scores = toy.scores(inside)
        low, high = np.array(list(certificate["scores"].values())).T
        assert (low <= scores).all()
        assert (scores <= high).all()
        # Not so wide as to say nothing: of these models all extremes are at corners.
        steep = np.abs(toy.jacobian(row[None])[0] * noise).sum(axis=1)
        assert (high - low <= 2 * 1.5 * steep * (1.0 if toy.cubic == 0 else 2.0) + 1e-4).all()
        if toy.task == "regression":
            assert certificate["value"] == [low[0], high[0]]
            assert not {"label_is_certain", "largest", "probabilities"} & certificate.keys()
            continue
        low, high = np.array(list(certificate["probabilities"].values())).T
        chances = toy.probabilities(inside)
        assert (low <= chances).all()
        assert (chances <= high).all()


@pytest.mark.parametrize("toy", [CLASSIFIER, BINARY, ORDINAL, IMAGE], ids=lambda toy: toy.name)
async def test_the_largest_radius_of_a_straight_model_is_where_its_label_changes(
    client: httpx.AsyncClient, toy: Toy
) -> None:
    rows, noise = toy.rows(4), toy.columns[2]
    for row, answer in zip(rows, await ask(client, toy, instances=rows.tolist(), radius=0.5), strict=True):
        s, J = toy.scores(row[None])[0], toy.jacobian(row[None])[0] * noise
        if toy.task == "classification":
            label = s.argmax()
            s, J = np.delete(s[label] - s, label), np.delete(J[label] - J, label, axis=0)
        exact = (np.abs(s) / np.abs(J).sum(axis=1)).min()
        certificate = answer["certificate"]
        assert 0.998 * exact - 1e-3 <= certificate["largest"] <= exact
        assert certificate["label_is_certain"] == (certificate["largest"] >= 0.5) or abs(exact - 0.5) < 1e-2
        # Twice the noise, half the sigmas.
        (doubled,) = await ask(client, toy, instances=[row.tolist()], radius=0.5, noise_scale=2.0)
        assert doubled["certificate"]["largest"] == pytest.approx(certificate["largest"] / 2, rel=3e-3, abs=1e-4)


@pytest.mark.parametrize("scale", [1.0, 4.0])
async def test_labels_flip_no_more_often_than_is_proved(client: httpx.AsyncClient, scale: float) -> None:
    rows, noise, stated = CLASSIFIER.rows(6), scale * CLASSIFIER.columns[2], 0
    answers = await ask(client, CLASSIFIER, instances=rows.tolist(), radius=1.0, noise_scale=scale)
    for row, answer in zip(rows, answers, strict=True):
        bound, largest = answer["certificate"]["flip_probability_bound"], answer["certificate"]["largest"]
        drawn = row + noise * np.random.default_rng(3).normal(size=(20_000, len(row)))
        flips = (CLASSIFIER.scores(drawn).argmax(axis=1) != CLASSIFIER.scores(row[None]).argmax()).mean()
        if bound is None:
            assert 4 * normal_tail(largest) >= 1.0
            continue
        stated += 1
        assert bound == pytest.approx(4 * normal_tail(largest), rel=1e-9)  # of two features, each with two sides
        assert flips <= bound + 0.005
        assert answer["stability"]["flip_probability"] <= bound
    assert stated >= 2


async def test_noise_of_another_law_bounds_no_flips(load: Load) -> None:
    row, deadline = CLASSIFIER.rows(1).tolist(), asyncio.get_running_loop().time() + 30
    allowance = Allowance(draws=10**5, measured_share=0.0, certificates=8, batch_rows=1024)
    for law, normal in ((NoiseModel(), True), (NoiseModel(law="uniform"), False)):
        toy = replace(CLASSIFIER, changes={"noise": law})
        found = await explain(await load(bounded(toy)), Question(row, radius=1.0), allowance, deadline)
        assert found.certificates is not None
        assert found.certificates.flips is not None
        assert (found.certificates.flips[0] is not None) == normal


async def test_a_box_that_leaves_noisy_features_out_bounds_no_flips(client: httpx.AsyncClient) -> None:
    row = CLASSIFIER.rows(1).tolist()
    (answer,) = await ask(client, CLASSIFIER, instances=row, box={CLASSIFIER.features[0].name: 0.1})
    assert answer["certificate"]["flip_probability_bound"] is None
    (answer,) = await ask(client, REGRESSION, instances=REGRESSION.rows(1).tolist(), radius=1.0)
    assert "flip_probability_bound" not in answer["certificate"]


async def test_a_box_moves_the_features_it_names_and_no_other(client: httpx.AsyncClient) -> None:
    row = REGRESSION.rows(1)[0].tolist()
    name = REGRESSION.features[0].name
    slope = abs(REGRESSION.jacobian(np.array([row]))[0, 0, 0])
    (near,) = await ask(client, REGRESSION, instances=[row], box={name: 0.25})
    low, high = near["certificate"]["value"]
    assert high - low == pytest.approx(2 * 0.25 * slope, rel=1e-3)
    (aside,) = await ask(client, REGRESSION, instances=[row], box={name: [row[0], row[0] + 0.25]})
    low, high = aside["certificate"]["value"]
    assert high - low == pytest.approx(0.25 * slope, rel=1e-3)


async def test_a_boxs_largest_factor_stretches_it_to_where_the_label_changes(client: httpx.AsyncClient) -> None:
    row = CLASSIFIER.rows(1)[0]
    name = CLASSIFIER.features[0].name
    (answer,) = await ask(client, CLASSIFIER, instances=[row.tolist()], box={name: 0.01})
    factor = answer["certificate"]["largest"]
    label = CLASSIFIER.scores(row[None]).argmax()
    step = 0.01 * np.eye(len(row))[0]
    ends = np.array([row + sign * reach * factor * step for sign in (-1, 1) for reach in (1.0, 1.01)])
    labels = CLASSIFIER.scores(ends).argmax(axis=1)
    assert (labels[[0, 2]] == label).all()
    assert (labels[[1, 3]] != label).any()


async def test_where_nothing_moves_everything_is_certain(client: httpx.AsyncClient) -> None:
    row = CLASSIFIER.rows(1)[0].tolist()
    (answer,) = await ask(client, CLASSIFIER, instances=[row], box={CLASSIFIER.features[0].name: 0})
    certificate = answer["certificate"]
    assert certificate["label_is_certain"]
    assert certificate["largest"] is None
    for name, (low, high) in certificate["probabilities"].items():
        assert low <= answer["probabilities"][name] <= high
        assert high - low < 1e-3


async def test_without_radius_or_box_there_is_no_certificate(client: httpx.AsyncClient) -> None:
    assert "certificate" not in (await ask(client, CLASSIFIER, instances=CLASSIFIER.rows(1).tolist()))[0]


ROW = CLASSIFIER.rows(1).tolist()
FIRST = CLASSIFIER.features[0].name


@pytest.mark.parametrize(
    ("changes", "status", "place", "kind"),
    [
        ({"radius": 0}, 422, "radius", "invalid-input"),
        ({"radius": True}, 422, "radius", "invalid-input"),
        ({"radius": 1e4}, 422, "radius", "invalid-input"),
        ({"radius": 1, "box": {FIRST: 1}}, 422, "radius", "invalid-input"),
        ({"box": {}}, 422, "box", "invalid-input"),
        ({"box": [1]}, 422, "box", "invalid-input"),
        ({"box": {"made up": 1}}, 422, "box", "invalid-input"),
        ({"box": {FIRST: -1}}, 422, f"box.{FIRST}", "invalid-input"),
        ({"box": {FIRST: "1"}}, 422, f"box.{FIRST}", "invalid-input"),
        ({"box": {FIRST: [2, 1]}}, 422, f"box.{FIRST}", "invalid-input"),
        ({"box": {FIRST: [1, 2, 3]}}, 422, f"box.{FIRST}", "invalid-input"),
        ({"box": {FIRST: [1e6, 2e6]}}, 422, f"box.{FIRST}", "invalid-input"),
        ({"box": {FIRST: 1e300}}, 422, f"box.{FIRST}", "invalid-input"),
        ({"instances": ROW * 9, "radius": 1}, 413, "instances", "too-large"),
        ({"model": "silent", "instances": SILENT.rows(1).tolist(), "radius": 1}, 422, None, "no-bounds"),
        (
            {"model": "mixed", "instances": [[3.0, "red", 1.0, "north"]], "box": {MIXED.features[1].name: 1}},
            422,
            f"box.{MIXED.features[1].name}",
            "invalid-input",
        ),
    ],
)
async def test_what_cannot_be_certified_is_refused_by_name(
    client: httpx.AsyncClient, changes: dict[str, Any], status: int, place: str | None, kind: str
) -> None:
    response = await client.post("/sensitivity", json={"model": "toy", "instances": ROW, **changes})
    problem = response.json()
    assert (response.status_code, problem["place"]) == (status, place), problem
    assert problem["type"].endswith(kind)
    assert "s3cret" not in response.text


async def test_a_boxed_feature_of_a_mixed_table(client: httpx.AsyncClient) -> None:
    (answer,) = await ask(client, MIXED, instances=[[3.0, "red", 1.0, "north"]], radius=1.0)
    assert answer["certificate"]["scores"].keys() == set(MIXED.card().labels)


async def test_a_bounds_graph_that_is_not_the_models_certifies_nothing(tmp_path: Any) -> None:
    other = bounded(CLASSIFIER)
    damaged = replace(other, bounds=tensor(np.zeros((4, 2, 3)))).with_graph("bounds", other.graphs["bounds"])
    async with serve(tmp_path, damaged) as client:
        found = (await client.get("/readyz")).json()["models"]["toy"]["1"]
        assert (found["state"], found["reason"]) == (
            "FAILED",
            "bounds.onnx: does not reproduce the golden rows' bounds",
        )


async def test_rows_are_bounded_as_many_at_a_time_as_memory_allows(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    served, rows = await load(bounded(CLASSIFIER)), CLASSIFIER.rows(5)
    label, reach, sizes = CLASSIFIER.scores(rows).argmax(axis=1), 0.1 * np.ones(rows.shape), []

    async def watched(boxes: Boxes, deadline: float) -> Bounds:
        sizes.append(len(boxes.low))
        return await ServedModel.bound(served, boxes, deadline)

    monkeypatch.setattr(served, "bound", watched)
    deadline, whole = asyncio.get_running_loop().time() + 60, None
    for values, parts in ((certifying.BOX_VALUES, [5]), (2 * 2 + 1, [2, 2, 1]), (1, [1] * 5)):  # of two inputs each
        monkeypatch.setattr(certifying, "BOX_VALUES", values)
        sizes.clear()
        found = await certifying.certify(
            served, rows.astype(np.float32), label, reach, reach, np.full(5, 3.0), 1.0, CLASSIFIER.columns[2], deadline
        )
        assert sizes == [part for part in parts for _ in range(1 + certifying.BISECTIONS)]
        whole = whole or found
        for ours, theirs in zip(found.bounds, whole.bounds, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        assert found.largest == whole.largest


@pytest.mark.parametrize("ends", [(0.1, 0.7), (0.7, 1.1)])  # float32 rounds one of each up and the other down
def test_a_box_holds_its_ends_as_given_and_as_rows_are_rounded(ends: tuple[float, float]) -> None:
    own = np.array([[sum(ends) / 2, 0.0]], np.float32)
    question = Question([], box={"height": list(ends), "weight": 0.5})
    below, above = certifying.reach(question, RowEncoder(CLASSIFIER.card()), own)
    low, high = own[0, 0] - below[0, 0], own[0, 0] + above[0, 0]
    assert low == pytest.approx(min(ends[0], float(np.float32(ends[0]))), rel=1e-12)
    assert high == pytest.approx(max(ends[1], float(np.float32(ends[1]))), rel=1e-12)
    assert (below[0, 1], above[0, 1]) == (0.5, 0.5)


def test_a_radius_is_in_sigmas_of_the_row_where_noise_is_a_share_of_its_value() -> None:
    toy = replace(CLASSIFIER, features=(numeric("height", noise_share=0.1), CLASSIFIER.features[1]))
    rows = np.array([[10.0, 1.0], [0.0, 1.0]], np.float32)
    below, above = certifying.reach(Question(rows.tolist(), radius=2.0), RowEncoder(toy.card()), rows)
    np.testing.assert_allclose(below, [[2.0 * (0.2 + 1.0), 0.1], [0.4, 0.1]])
    np.testing.assert_array_equal(above, below)
