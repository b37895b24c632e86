"""A loaded model: its answers are those of the closed form."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.artifact.card import Distribution
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Inputs, Model
from chainzrule.service.serving.version import inputs_of
from chainzrule.service.stability.measures import diagnose
from chainzrule.service.stability.verdict import Thresholds
from tests.answers import assert_same
from tests.artifacts import ALL, BINARY, CLASSIFIER, CUBIC, IMAGE, MIXED, ORDINAL, REGRESSION, SILENT, Toy, normal_tail


def opened(toy: Toy, thresholds: Thresholds | None = None) -> Model:
    return Model(toy.artifact(), Execution("cpu", threads=1), thresholds)


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
def test_predictions_are_those_of_the_closed_form(toy: Toy) -> None:
    rows = toy.rows(20)
    found = opened(toy).predict(inputs_of(rows.astype(np.float32), 1.0, True))
    assert len(found) == 20
    np.testing.assert_allclose(found.scores, toy.scores(rows), atol=2e-5)
    np.testing.assert_allclose(found.covariance, toy.covariance(rows), rtol=1e-4, atol=1e-7)
    expected = diagnose(toy.task, toy.scores(rows), toy.covariance(rows), np.ones(20))
    np.testing.assert_array_equal(found.diagnosis.label, expected.label)
    np.testing.assert_allclose(found.diagnosis.volatility, expected.volatility, rtol=1e-3, atol=1e-9)
    assert found.finite.all()


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
def test_derivatives_are_those_of_the_closed_form(toy: Toy) -> None:
    rows = toy.rows(20)
    model, features = opened(toy), rows.astype(np.float32)
    found = model.differentiate(features)
    np.testing.assert_allclose(found, toy.jacobian(rows), rtol=1e-4, atol=1e-6)
    noisy = toy.jacobian(rows) * toy.columns[2]
    np.testing.assert_allclose(model.layer_norms(features)[:, 0], np.linalg.norm(noisy, axis=(1, 2)), rtol=1e-4)


def test_two_labels_answer_in_full() -> None:
    rows = BINARY.rows(1).astype(np.float32)
    answer = opened(BINARY).predict(inputs_of(rows, 1.0, True)).answers[0]
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
        answer = opened(toy).predict(inputs_of(toy.rows(1).astype(np.float32), 1.0, True)).answers[0]
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
    stability = opened(SILENT).predict(inputs_of(SILENT.rows(1).astype(np.float32), 1.0, True)).answers[0]["stability"]
    assert stability["flip_distance"] is None
    assert (stability["volatility"], stability["flip_probability"], stability["gradient_norm"]) == (0.0, 0.0, 0.0)
    assert stability["percentile"] == 50.0
    assert (stability["verdict"], stability["reasons"]) == ("stable", [])


def test_percentile_only_at_noise_scale_1() -> None:
    rows = np.repeat(CLASSIFIER.rows(1).astype(np.float32), 3, axis=0)
    inputs = Inputs(rows, np.array([1.0, 2.0, 1.0]), np.ones(3, bool))
    answers = opened(CLASSIFIER).predict(inputs).answers
    assert [answer["stability"]["percentile"] is None for answer in answers] == [False, True, False]
    assert answers[1]["stability"]["volatility"] > 1.5 * answers[0]["stability"]["volatility"]
    assert answers[1]["stability"]["gradient_norm"] == answers[0]["stability"]["gradient_norm"]
    assert answers[0] == answers[2]


def test_out_of_range_features_are_named() -> None:
    rows = np.array([[0, 0, 1, 0, 0, 1, 0], [11, 0, 1, 0, -11, 1, 0]], dtype=np.float32)
    answers = opened(MIXED).predict(inputs_of(rows, 1.0, True)).answers
    assert answers[0]["stability"]["out_of_range"] == []
    assert answers[1]["stability"]["out_of_range"] == ["age", "dose"]
    assert "out_of_range" in answers[1]["stability"]["reasons"]
    pixels = np.array([[0, 255, 256, 0, -1, 0]], dtype=np.float32)
    answer = opened(IMAGE).predict(inputs_of(pixels, 1.0, True)).answers[0]
    assert answer["stability"]["out_of_range"] == ["pixel_0_2", "pixel_1_1"]


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_row_that_is_not_finite_leaves_its_neighbours_alone(bad: int) -> None:
    model = opened(CUBIC)
    rows = CUBIC.rows(3).astype(np.float32)
    whole = model.predict(inputs_of(rows, 1.0, True))
    rows[bad] = 1e20
    found = model.predict(inputs_of(rows, 1.0, True))
    assert found.finite.tolist() == [row != bad for row in range(3)]
    for row in {0, 1, 2} - {bad}:
        assert_same(found.answers[row], whole.answers[row])


def test_only_the_covariance_overflows() -> None:
    rows = np.array([[1e12, 0.0]], dtype=np.float32)  # z^3 is 1e35, the slope squared 1e47
    found = opened(CUBIC).predict(inputs_of(rows, 1.0, True))
    assert np.isfinite(found.scores).all()
    assert found.finite.tolist() == [False]


def test_thresholds_decide_the_verdict() -> None:
    rows = inputs_of(CLASSIFIER.rows(1).astype(np.float32), 1.0, True)
    verdicts = [
        opened(CLASSIFIER, Thresholds(unstable_flip_probability=u, elevated_flip_probability=e))
        .predict(rows)
        .answers[0]
        for u, e in ((0.0, 0.0), (1.0, 0.0))
    ]
    assert [answer["stability"]["verdict"] for answer in verdicts] == ["unstable", "elevated"]


def test_the_cards_reference_decides_the_percentile() -> None:
    rows = REGRESSION.rows(1).astype(np.float32)
    volatility = np.sqrt(REGRESSION.covariance(rows)[0, 0, 0])

    def percentile(quantiles: np.ndarray) -> float:
        toy = replace(REGRESSION, volatility=quantiles.tolist())
        assert isinstance(toy.card().reference.volatility, Distribution)
        return float(opened(toy).predict(inputs_of(rows, 1.0, True)).answers[0]["stability"]["percentile"])

    assert percentile(np.linspace(0, 2 * volatility, 101)) == pytest.approx(50.0, abs=0.1)
    assert percentile(np.linspace(0, 4 * volatility, 101)) == pytest.approx(25.0, abs=0.1)
    assert percentile(np.linspace(0, 0.5 * volatility, 101)) == 100.0
