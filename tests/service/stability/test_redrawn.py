"""Counted measures in place of those in closed form: which rows get them, and what stays as it was."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.artifact.noise import NoiseModel
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.stability.batch import Batch
from chainzrule.service.stability.montecarlo import Tally
from chainzrule.service.stability.predictions import Measured
from chainzrule.service.stability.redrawn import redrawn
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
    found = redrawn(batch, slice(1, 6), rows, [tally(toy, batch, 1 + row) for row in rows.tolist()])
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
    found = redrawn(batch, slice(0, 6), np.array([2]), [tally(CLASSIFIER, batch, 2)]).observed()
    assert found is not None
    assert found.rows == 1
    assert found.verdicts["not_measurable"] == 5
    assert sum(found.verdicts.values()) == 6
    sound = measured(CLASSIFIER)
    assert redrawn(sound, slice(0, 6), np.array([2]), [tally(CLASSIFIER, sound, 2)]).observed() is None


def test_measures_under_another_noise_have_no_rank_and_the_derivatives_norm() -> None:
    batch = measured(CLASSIFIER)
    drawn = tally(CLASSIFIER, batch, 0)
    found = redrawn(batch, slice(0, 1), np.array([0]), [drawn], of_card=False)
    [(*_, stability)] = found.listed()
    assert stability is not None
    given = dict(zip(found.standard.member_names, stability[3], strict=True))
    assert given["percentile"] is None
    assert given["gradient_norm"] == float(batch.diagnosis.gradient_norm[0])
