"""Answers: what JSON says of predictions."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.api.answers import Row, prediction_rows
from chainzrule.service.artifact.evidence import Distribution
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.stability.outputs import Inputs
from chainzrule.service.stability.verdict import Thresholds
from tests.artifacts import BINARY, CLASSIFIER, IMAGE, MIXED, ORDINAL, REGRESSION, SILENT, Toy, normal_tail
from tests.runs import runs_of


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
    assert set(answer) == {"label", "probabilities", "stability"}
    assert stability["runner_up"] == ("no", "yes")[1 - label]
    assert stability["flip_distance"] == pytest.approx(distance, rel=1e-4)
    assert stability["flip_probability"] == pytest.approx(normal_tail(distance), rel=1e-3)
    assert stability["gradient_norm"] == pytest.approx(np.sqrt(np.trace(C)), rel=1e-4)
    assert stability["out_of_range"] == []


def test_members_by_task() -> None:
    def members(toy: Toy) -> tuple[set[str], set[str]]:
        answer = answers(toy, inputs_of(toy.rows(1).astype(np.float32), 1.0, True))[0]
        return set(answer), set(answer["stability"])

    label_stability = {
        "verdict", "reasons", "volatility", "percentile", "gradient_norm", "out_of_range", "flip_distance",
        "flip_probability", "runner_up",
    }  # fmt: skip
    assert members(CLASSIFIER) == ({"label", "probabilities", "stability"}, label_stability)
    assert members(ORDINAL) == ({"label", "value", "probabilities", "stability"}, label_stability)
    flips = {"flip_distance", "flip_probability", "runner_up"}
    assert members(REGRESSION) == ({"value", "stability"}, label_stability - flips)


def test_no_noise_answers_null_distance() -> None:
    stability = answers(SILENT, inputs_of(SILENT.rows(1).astype(np.float32), 1.0, True))[0]["stability"]
    assert stability["flip_distance"] is None
    assert (stability["volatility"], stability["flip_probability"], stability["gradient_norm"]) == (0.0, 0.0, 0.0)
    assert stability["percentile"] == 50.0
    assert (stability["verdict"], stability["reasons"]) == ("stable", [])


def test_percentile_only_at_noise_scale_1() -> None:
    rows = np.repeat(CLASSIFIER.rows(1).astype(np.float32), 3, axis=0)
    inputs = Inputs(rows, np.array([1.0, 2.0, 1.0]), np.ones(3, bool))
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
