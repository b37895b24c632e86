"""Runs of a model: the conditions that rows are run under, and what a run concludes with and without measuring."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.serving.runs import inputs_of, join
from chainzrule.service.stability.unmeasured import Unmeasured
from tests.artifacts import ALL, CLASSIFIER, CUBIC, Toy
from tests.runs import runs_of


@pytest.mark.parametrize(
    ("noise_scale", "observe", "observed"),
    [(1.0, True, True), (1.0, False, False), (2.0, True, False), (0.5, False, False)],
)
def test_rows_at_another_noise_scale_are_never_observed(noise_scale: float, observe: bool, observed: bool) -> None:
    features = CLASSIFIER.rows(3).astype(np.float32)
    found = inputs_of(features, noise_scale, observe, 0.8)
    assert found.features is features
    assert found.noise_scale.tolist() == [noise_scale] * 3
    assert found.observe.tolist() == [observed] * 3
    assert found.confidence.tolist() == [0.8] * 3


def test_conditions_that_questions_share_cannot_be_written() -> None:
    for shared in inputs_of(np.zeros((2, 2), np.float32), 1.0, observe=True)[1:]:
        with pytest.raises(ValueError, match="read-only"):
            shared[0] = 0


def test_joined_rows_keep_their_order_and_their_conditions() -> None:
    rows = CLASSIFIER.rows(3).astype(np.float32)
    found = join([inputs_of(rows[:1], 2.0, True), inputs_of(rows[1:], 1.0, True, 0.8)])
    np.testing.assert_array_equal(found.features, rows)
    assert found.noise_scale.tolist() == [2.0, 1.0, 1.0]
    assert found.observe.tolist() == [False, True, True]
    assert found.confidence.tolist() == [0.9, 0.8, 0.8]


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
def test_an_answer_says_what_a_prediction_says_but_for_stability(toy: Toy) -> None:
    known = toy.card().conformity
    assert known is not None
    toy = replace(toy, changes={"conformity": known.model_copy(update={"per_volatility": 0.0})})
    runs, inputs = runs_of(toy), inputs_of(toy.rows(5).astype(np.float32), 1.0, observe=True)
    measured, answered = runs.predict(inputs), runs.answer(inputs)
    assert type(answered) is Unmeasured
    assert answered.observed() is None
    ours, theirs = list(answered.listed()), list(measured.listed())
    assert [row[-1] for row in ours] == [None] * 5
    assert None not in [row[-1] for row in theirs]
    assert [row[:-1] for row in ours] == [row[:-1] for row in theirs]
    np.testing.assert_array_equal(answered.scores, measured.scores)


@pytest.mark.parametrize("count", [1, 2])
def test_rows_are_measured_at_their_own_noise_scale(count: int) -> None:
    rows = np.repeat(CUBIC.rows(1).astype(np.float32), count, axis=0)
    runs = runs_of(CUBIC)
    usual, doubled = (runs.predict(inputs_of(rows, scale, True)).diagnosis for scale in (1.0, 2.0))
    np.testing.assert_allclose(doubled.flip_distance, usual.flip_distance / 2, rtol=1e-9)
    np.testing.assert_allclose(doubled.gradient_norm, usual.gradient_norm, rtol=1e-12)
