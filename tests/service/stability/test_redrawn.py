"""Counted measures in place of those in closed form: which rows get them, and what stays as it was."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.artifact.noise import NoiseModel
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.stability.batch import Batch
from chainzrule.service.stability.measures import diagnose
from chainzrule.service.stability.montecarlo import Tally
from chainzrule.service.stability.noise import Noise
from chainzrule.service.stability.outputs import Outputs
from chainzrule.service.stability.predictions import Measured
from chainzrule.service.stability.redrawn import count_rows, redrawn
from chainzrule.service.stability.soundness import Soundness
from tests.artifacts import BINARY, CLASSIFIER, ORDINAL, REGRESSION, Toy
from tests.runs import runs_of

HEAVY = {"noise": NoiseModel(law="t", degrees_of_freedom=3.0)}


def measured(toy: Toy, rows: int = 6) -> Measured:
    return runs_of(toy).predict(inputs_of(toy.rows(rows).astype(np.float32), 1.0, True))


def heavy(toy: Toy) -> Toy:
    return replace(toy, name=f"{toy.name}-heavy", changes=HEAVY)


def tally(toy: Toy, batch: Measured, row: int, draws: int = 20_000) -> Tally:
    random, found = np.random.default_rng(1), Tally(batch.link, batch.scores[row].astype(np.float64))
    moved = batch.inputs.features[row] + toy.columns[2] * random.standard_normal((draws, len(toy.columns[2])))
    found.add(toy.scores(moved).astype(np.float32))
    return found


@pytest.mark.parametrize("toy", [CLASSIFIER, BINARY, ORDINAL, REGRESSION], ids=lambda toy: toy.name)
def test_rows_that_are_not_drawn_are_not_measurable_and_say_no_number(toy: Toy) -> None:
    batch = measured(heavy(toy))
    assert batch.unsound is not None
    assert batch.unsound.all()
    for *_, (level, reasons, method, members) in batch.listed():
        assert (level, reasons[0], method) == (3, "noise_law", None)
        given = dict(zip(batch.standard.member_names, members, strict=True))
        assert given.pop("gradient_norm") > 0
        assert set(given.values()) == {None}
    assert batch.observed() is None
    assert np.isnan(batch.diagnosis.volatility).all()


@pytest.mark.parametrize("toy", [CLASSIFIER, BINARY, ORDINAL, REGRESSION], ids=lambda toy: toy.name)
def test_drawn_rows_have_what_was_counted(toy: Toy) -> None:
    plain, batch = measured(toy), measured(heavy(toy))
    rows = np.array([1, 3])
    found = redrawn(batch, slice(1, 6), {row: tally(toy, batch, 1 + row) for row in rows.tolist()})
    assert isinstance(found, Batch)
    assert len(found) == 5
    assert found.unsound is not None
    assert found.unsound.tolist() == [True, False, True, False, True]
    methods = [stability[2] for *_, stability in found.listed() if stability is not None]
    assert methods == [None, "monte_carlo", None, "monte_carlo", None]
    np.testing.assert_allclose(found.diagnosis.volatility[rows], plain.diagnosis.volatility[2:5:2], rtol=0.1)
    np.testing.assert_array_equal(found.label, batch.label[1:6])
    np.testing.assert_array_equal(found.diagnosis.gradient_norm, batch.diagnosis.gradient_norm[1:6])
    if toy.task != "regression":
        expected = plain.diagnosis.flip_probability[2:5:2]
        np.testing.assert_allclose(found.diagnosis.flip_probability[rows], expected, atol=0.01)


def test_rows_are_observed_once_and_lost_ones_only_counted() -> None:
    batch = measured(heavy(CLASSIFIER))
    found = redrawn(batch, slice(0, 6), {2: tally(CLASSIFIER, batch, 2)}).observed()
    assert found is not None
    assert found.rows == 1
    assert found.verdicts["not_measurable"] == 5
    assert sum(found.verdicts.values()) == 6
    sound = measured(CLASSIFIER)
    assert redrawn(sound, slice(0, 6), {2: tally(CLASSIFIER, sound, 2)}).observed() is None


def test_measures_under_another_noise_have_no_rank_and_the_derivatives_norm() -> None:
    batch = measured(CLASSIFIER)
    drawn = tally(CLASSIFIER, batch, 0)
    found = redrawn(batch, slice(0, 1), {0: drawn}, of_card=False)
    [(*_, stability)] = found.listed()
    assert stability is not None
    given = dict(zip(found.standard.member_names, stability[3], strict=True))
    assert given["percentile"] is None
    assert given["gradient_norm"] == float(batch.diagnosis.gradient_norm[0])


def test_a_row_that_bends_stays_not_measurable_where_others_are_drawn() -> None:
    standard, plain = runs_of(CLASSIFIER)._standard, measured(CLASSIFIER)
    scores, covariance = plain.scores * np.float32(1e-3), plain.covariance
    near = diagnose(plain.link, scores, covariance, np.ones(6))
    each, own, other = np.arange(6), near.label, near.runner_up
    variance = covariance[each, own, own] + covariance[each, other, other] - 2.0 * covariance[each, own, other]
    shift = np.zeros((6, 3), np.float32)
    shift[each, own] = 0.2 * np.sqrt(variance)  # of a standard deviation of the lead, which is within reach
    outputs = Outputs(scores, plain.probabilities, covariance, mean_shift=shift)
    standard.soundness = Soundness(Noise(CLASSIFIER.columns[2]), None)
    bending = Batch(standard, plain.inputs, outputs)
    assert bending.unsound is not None
    assert bending.unsound.all()
    assert np.isnan(bending.diagnosis.flip_distance).all()
    found = redrawn(bending, slice(0, 6), {1: tally(CLASSIFIER, bending, 1)})
    assert found.unsound is not None
    assert found.unsound.tolist() == [True, False, True, True, True, True]
    assert found.level.tolist().count(3) == 5


def test_a_row_whose_draws_are_not_finite_is_not_counted() -> None:
    batch = measured(CLASSIFIER, 3)

    def score(rows: np.ndarray) -> np.ndarray:
        moved = CLASSIFIER.scores(rows)
        return np.where(np.abs(rows[:, :1] - batch.inputs.features[1, 0]) < 1e-3, np.nan, moved)

    noise = Noise(np.array([1e-6, 0.0]))
    features = batch.inputs.features.copy()
    features[0, 0] += 9.0
    features[2, 0] -= 9.0
    found = count_rows(batch.link, score, noise, features, batch.scores, 1.0)
    assert list(found) == [0, 2]
