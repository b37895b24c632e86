"""Answers: what JSON says of predictions."""

import asyncio
import math
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest

from chainzrule.service.api.answers import (
    STEP_ROWS,
    Row,
    large_predictions_body,
    prediction_rows,
    predictions_body,
)
from chainzrule.service.api.bodies.steps import run_steps
from chainzrule.service.artifact.evidence import Distribution
from chainzrule.service.serving.question import Allowance, Question
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.stability.outputs import Inputs
from chainzrule.service.stability.verdict import Thresholds
from tests.artifacts import (
    BINARY,
    CLASSIFIER,
    FAMILIAR,
    IMAGE,
    MIXED,
    ORDINAL,
    PICTURE,
    REGRESSION,
    SILENT,
    Toy,
    normal_tail,
    probed,
)
from tests.runs import runs_of
from tests.service.conftest import Serving

AMPLE = Allowance(draws=10**6, measured_share=0.0, certificates=8, batch_rows=1024)


def answers(toy: Toy, inputs: Inputs, thresholds: Thresholds | None = None) -> list[Row]:
    return prediction_rows(runs_of(toy, thresholds).predict(inputs), toy.names)


def test_two_labels_answer_in_full() -> None:
    rows = BINARY.rows(1).astype(np.float32)
    answer = answers(BINARY, inputs_of(rows, 1.0, True))[0]
    s, C = BINARY.scores(rows)[0], BINARY.covariance(rows)[0]
    label = int(s.argmax())
    sd = np.sqrt(C[0, 0] + C[1, 1] - 2 * C[0, 1])
    distance = abs(s[0] - s[1]) / sd
    p = BINARY.probabilities(rows)[0]
    assert answer["label"] == ("no", "yes")[label]
    assert answer["probabilities"] == pytest.approx({"no": p[0], "yes": p[1]}, rel=1e-5)
    stability = answer["stability"]
    assert set(answer) == {"label", "probabilities", "set", "novelty", "stability"}
    assert answer["set"] == [name for name in BINARY.names if answer["probabilities"][name] >= math.exp(-1.8)]
    assert stability["runner_up"] == ("no", "yes")[1 - label]
    assert stability["flip_distance"] == pytest.approx(distance, rel=1e-4)
    assert stability["flip_probability"] == pytest.approx(normal_tail(distance), rel=1e-3)
    assert stability["gradient_norm"] == pytest.approx(np.sqrt(np.trace(C)), rel=1e-4)
    assert stability["out_of_range"] == []


@pytest.mark.parametrize("count", [1, 2])
def test_novelty_is_a_percentile_with_what_makes_a_row_novel(count: int) -> None:
    def novelty(toy: Toy, *row: float) -> list[Any]:
        rows = np.repeat(np.array([row], np.float32), count, axis=0)
        return [answer["novelty"] for answer in answers(toy, inputs_of(rows, 1.0, True))]

    usual, novel = {"percentile": 10.0, "features": []}, {"percentile": 100.0, "features": ["age"]}
    assert novelty(FAMILIAR, 1.0, -0.5) == [usual] * count
    assert novelty(FAMILIAR, 31.0, -0.5) == [novel] * count
    assert novelty(PICTURE, *[33.0] * 6) == [{"percentile": 0.0, "features": None}] * count
    assert novelty(PICTURE, *[255.0] * 6) == [{"percentile": 100.0, "features": None}] * count
    assert novelty(CLASSIFIER, 1.0, 2.0) == [None] * count


def test_members_by_task() -> None:
    def members(toy: Toy) -> tuple[set[str], set[str]]:
        answer = answers(toy, inputs_of(toy.rows(1).astype(np.float32), 1.0, True))[0]
        return set(answer), set(answer["stability"])

    label_stability = {
        "verdict", "reasons", "method", "volatility", "percentile", "gradient_norm", "out_of_range", "flip_distance",
        "flip_probability", "runner_up",
    }  # fmt: skip
    assert members(CLASSIFIER) == ({"label", "probabilities", "set", "novelty", "stability"}, label_stability)
    assert members(ORDINAL) == ({"label", "value", "probabilities", "set", "novelty", "stability"}, label_stability)
    flips = {"flip_distance", "flip_probability", "runner_up"}
    assert members(REGRESSION) == ({"value", "interval", "novelty", "stability"}, label_stability - flips)


def test_no_noise_answers_null_distance() -> None:
    stability = answers(SILENT, inputs_of(SILENT.rows(1).astype(np.float32), 1.0, True))[0]["stability"]
    assert stability["flip_distance"] is None
    assert (stability["volatility"], stability["flip_probability"], stability["gradient_norm"]) == (0.0, 0.0, 0.0)
    assert stability["percentile"] == 50.0
    assert (stability["verdict"], stability["reasons"]) == ("stable", [])


def test_percentile_only_at_noise_scale_1() -> None:
    rows = np.repeat(CLASSIFIER.rows(1).astype(np.float32), 3, axis=0)
    inputs = Inputs(rows, np.array([1.0, 2.0, 1.0]), np.ones(3, bool), np.full(3, 0.9))
    found = answers(CLASSIFIER, inputs)
    assert [answer["stability"]["percentile"] is None for answer in found] == [False, True, False]
    assert found[1]["stability"]["volatility"] > 1.5 * found[0]["stability"]["volatility"]
    assert found[1]["stability"]["gradient_norm"] == found[0]["stability"]["gradient_norm"]
    assert found[0] == found[2]


def test_out_of_range_features_are_named() -> None:
    rows = np.array([[0, 0, 1, 0, 0, 1, 0], [11, 0, 1, 0, -11, 1, 0]], dtype=np.float32)
    found = answers(MIXED, inputs_of(rows, 1.0, True))
    assert found[0]["stability"]["out_of_range"] == []
    assert found[1]["stability"]["out_of_range"] == ["age", "dose"]
    assert "out_of_range" in found[1]["stability"]["reasons"]
    pixels = np.array([[0, 255, 256, 0, -1, 0]], dtype=np.float32)
    answer = answers(IMAGE, inputs_of(pixels, 1.0, True))[0]
    assert answer["stability"]["out_of_range"] == ["pixel_0_2", "pixel_1_1"]


def test_thresholds_decide_the_verdict() -> None:
    rows = inputs_of(CLASSIFIER.rows(1).astype(np.float32), 1.0, True)
    verdicts = [
        answers(CLASSIFIER, rows, Thresholds(unstable_flip_probability=u, elevated_flip_probability=e))[0]
        for u, e in ((0.0, 0.0), (1.0, 0.0))
    ]
    assert [answer["stability"]["verdict"] for answer in verdicts] == ["unstable", "elevated"]


def test_the_cards_reference_decides_the_percentile() -> None:
    rows = REGRESSION.rows(1).astype(np.float32)
    volatility = np.sqrt(REGRESSION.covariance(rows)[0, 0, 0])

    def percentile(quantiles: np.ndarray) -> float:
        toy = replace(REGRESSION, volatility=quantiles.tolist())
        assert isinstance(toy.card().reference.volatility, Distribution)
        return float(answers(toy, inputs_of(rows, 1.0, True))[0]["stability"]["percentile"])

    assert percentile(np.linspace(0, 2 * volatility, 101)) == pytest.approx(50.0, abs=0.1)
    assert percentile(np.linspace(0, 4 * volatility, 101)) == pytest.approx(25.0, abs=0.1)
    assert percentile(np.linspace(0, 0.5 * volatility, 101)) == 100.0


def test_requests_of_one_run_share_what_is_written() -> None:
    found = runs_of(CLASSIFIER).predict(inputs_of(CLASSIFIER.rows(3).astype(np.float32), 1.0, True))
    assert prediction_rows(found, CLASSIFIER.names) is prediction_rows(found, CLASSIFIER.names)


# Explanations.


@pytest.mark.anyio
async def test_predictions_are_answered_with_their_model(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        served = client.app.context.catalog.resolve("toy", None)  # type: ignore[attr-defined]
        parts = [inputs_of(CLASSIFIER.rows(rows, seed=rows).astype(np.float32), 1.0, False) for rows in (1, 2, 1)]
        deadline = asyncio.get_running_loop().time() + 30
        for share in await asyncio.gather(*(served.predict(part, deadline) for part in parts)):
            content = orjson.loads(predictions_body(served, Question([], confidence=0.8), share))
            own = prediction_rows(share.result, CLASSIFIER.names)[share.start : share.stop]
            said = {"model": "toy", "version": "1", "method": "analytic", "confidence": 0.8}
            assert content == said | {"predictions": own}


@pytest.mark.parametrize("count", [1, 3])
def test_regions_are_null_where_the_card_cannot_tell(count: int) -> None:
    for toy, name in ((CLASSIFIER, "set"), (REGRESSION, "interval")):
        inputs = inputs_of(toy.rows(count).astype(np.float32), 1.0, True)
        silent = replace(toy, changes={"conformity": None})
        assert [answer[name] for answer in answers(silent, inputs)] == [None] * count
        assert None not in [answer[name] for answer in answers(toy, inputs)]


@pytest.mark.anyio
@pytest.mark.parametrize("toy", [CLASSIFIER, REGRESSION], ids=lambda toy: toy.name)
async def test_many_predictions_are_written_in_steps_as_they_are_at_once(serving: Serving, toy: Toy) -> None:
    counts = (1, STEP_ROWS, 2 * STEP_ROWS + 1)
    async with serving(toy) as client:
        served = client.app.context.catalog.resolve(toy.name, None)  # type: ignore[attr-defined]
        deadline = asyncio.get_running_loop().time() + 30
        parts = [inputs_of(toy.rows(rows, seed=rows).astype(np.float32), 1.0, False) for rows in counts]
        question = Question([], confidence=0.8)
        shares = await asyncio.gather(*(served.predict(part, deadline) for part in parts))
        assert len({id(share.result) for share in shares}) == 1, "they were to share a run"
        written = [run_steps(large_predictions_body(served, question, share)) for share in shares]
        assert shares[0].result.written is not None
        shares[0].result.written = None
        assert written == [predictions_body(served, question, share) for share in shares]
        # Each step is short, also that in which the first of them writes the rows.
        shares[0].result.written = None
        steps = sum(1 for _ in large_predictions_body(served, question, shares[0]))
        assert steps == -(-sum(counts) // STEP_ROWS) + 1
        assert sum(1 for _ in large_predictions_body(served, question, shares[2])) == 3


def test_what_was_not_measured_says_so() -> None:
    rows = np.array([[0.0, 0.0], [11.0, 0.0]], np.float32)
    found = runs_of(probed(BINARY, "finite_difference")).answer(inputs_of(rows, 1.0, True))
    for row, answer in enumerate(prediction_rows(found, BINARY.names)):
        assert answer["label"] == BINARY.names[int(found.label[row])]
        assert answer["probabilities"] == pytest.approx(
            dict(zip(BINARY.names, BINARY.probabilities(rows.astype(np.float64))[row], strict=True)), rel=1e-5
        )
        assert answer["stability"] == {"verdict": "not_computed", "out_of_range": [[], ["height"]][row]}
