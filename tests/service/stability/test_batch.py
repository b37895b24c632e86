"""Measured batches: what one row is does not touch the others, and views of a batch say the same of it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.api.answers import prediction_rows
from chainzrule.service.serving.runs import inputs_of, join
from chainzrule.service.stability.batch import Batch
from chainzrule.service.stability.observed import Observed
from chainzrule.service.stability.reference import percentiles
from chainzrule.service.stability.verdict import VERDICTS
from tests.answers import assert_same
from tests.artifacts import ALL, CLASSIFIER, CUBIC, FAMILIAR, MIXED, Toy
from tests.runs import runs_of


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_row_that_is_not_finite_leaves_its_neighbours_alone(bad: int) -> None:
    model = runs_of(CUBIC)
    rows = CUBIC.rows(3).astype(np.float32)
    whole = model.predict(inputs_of(rows, 1.0, True))
    rows[bad] = 1e20
    found = model.predict(inputs_of(rows, 1.0, True))
    assert found.finite.tolist() == [row != bad for row in range(3)]
    for row in {0, 1, 2} - {bad}:
        assert_same(prediction_rows(found, CUBIC.names)[row], prediction_rows(whole, CUBIC.names)[row])


def test_only_the_covariance_overflows() -> None:
    rows = np.array([[1e12, 0.0]], dtype=np.float32)  # z^3 is 1e35, the slope squared 1e47
    found = runs_of(CUBIC).predict(inputs_of(rows, 1.0, True))
    assert np.isfinite(found.scores).all()
    assert found.finite.tolist() == [False]


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
def test_lists_say_what_arrays_say(toy: Toy) -> None:
    found = runs_of(toy).predict(inputs_of(toy.rows(5).astype(np.float32), 1.0, True))
    assert isinstance(found, Batch)
    labels, values, probabilities, regions, novelty, outside, stability = zip(*found.listed(), strict=True)
    assert list(labels) == found.label.tolist()
    assert list(values) == found.value.tolist()
    assert probabilities == ((None,) * 5 if found.probabilities is None else tuple(found.probabilities.tolist()))
    if toy.names:
        assert found.sets is not None
        assert [[label in region for label in range(len(toy.names))] for region in regions] == found.sets.tolist()
    else:
        assert found.intervals is not None
        assert regions == tuple(map(list, zip(*(ends.tolist() for ends in found.intervals), strict=True)))
    assert [bool(names) for names in outside] == found.outside.any(axis=1).tolist()
    assert found.novelty is not None or set(novelty) == {None}
    assert found.novelty is None or novelty == tuple(found.novelty.listed())
    levels, _, _, members = zip(*stability, strict=True)
    assert list(levels) == found.level.tolist()
    for member, given in zip(found.standard.members, zip(*members, strict=True), strict=True):
        measured = found.diagnosis[member.field]
        if member.known is not None:
            measured = percentiles(measured, member.known)
        assert math.inf not in given  # which is no JSON
        assert [math.inf if value is None else value for value in given] == measured.tolist(), member.name


def test_percentiles_are_of_the_usual_noise_alone() -> None:
    runs, rows = runs_of(CUBIC), CUBIC.rows(4).astype(np.float32)
    found = runs.predict(join([inputs_of(rows[:2], 1.0, True), inputs_of(rows[2:], 2.0, True)]))
    ranks = [row["stability"]["percentile"] for row in prediction_rows(found, CUBIC.names)]
    assert [rank is None for rank in ranks] == [False, False, True, True]


def observed(found: Observed | None) -> Observed:
    assert found is not None
    return found


def test_only_rows_that_are_finite_and_to_be_observed_count() -> None:
    rows = CUBIC.rows(4).astype(np.float32)
    rows[1] = 1e20
    runs = runs_of(CUBIC)
    parts = [inputs_of(rows[:3], 1.0, True), inputs_of(rows[3:], 1.0, observe=False)]
    whole = runs.predict(join(parts))
    found = observed(whole.observed())
    assert found.rows == 2
    assert found.diagnosis.volatility.tolist() == whole.diagnosis.volatility[[0, 2]].tolist()
    assert sum(found.verdicts.values()) == 2
    assert list(found.verdicts) == list(VERDICTS)
    assert runs.predict(inputs_of(rows[1:2].repeat(2, axis=0), 1.0, True)).observed() is None


def test_rows_out_of_range_are_counted_by_feature() -> None:
    rows = np.array([[0, 0, 1, 0, 0, 1, 0], [11, 0, 1, 0, -11, 1, 0], [11, 0, 1, 0, 0, 1, 0]], dtype=np.float32)
    found = observed(runs_of(MIXED).predict(inputs_of(rows, 1.0, True)).observed())
    assert found.outside_rows == 2
    assert found.outside.tolist() == [False, True, True]
    assert found.out_of_range == {"age": 2, "dose": 1}


def test_novel_rows_are_counted_and_are_not_stable() -> None:
    rows = np.array([[1.0, -0.5], [25.0, -0.5], [1.0, -1.5]], dtype=np.float32)  # novelties 1, 13, 1
    found = runs_of(FAMILIAR).predict(inputs_of(rows, 1.0, True))
    seen = observed(found.observed())
    assert (seen.novel_rows, seen.novel.tolist()) == (1, [False, True, False])
    assert [row["novelty"] for row in prediction_rows(found, FAMILIAR.names)] == [
        {"percentile": 10.0, "features": []},
        {"percentile": 100.0, "features": ["age"]},
        {"percentile": 10.0, "features": []},
    ]
    reasons = [row["stability"]["reasons"] for row in prediction_rows(found, FAMILIAR.names)]
    assert ["novel" in given for given in reasons] == [False, True, False]
    assert found.level[1] > 0


def test_close_calls_are_counted() -> None:
    known = CLASSIFIER.card().conformity
    assert known is not None
    close = replace(CLASSIFIER, changes={"conformity": known.model_copy(update={"temperature": 0.0625})})
    found = runs_of(close).predict(inputs_of(close.rows(12).astype(np.float32), 1.0, True))
    reasons = [row["stability"]["reasons"] for row in prediction_rows(found, close.names)]
    count = sum("close_call" in given for given in reasons)
    assert 0 < count < 12
    assert observed(found.observed()).close_rows == count


def test_a_novelty_that_is_not_finite_is_no_answer() -> None:
    runs, rows = runs_of(FAMILIAR), FAMILIAR.rows(3).astype(np.float32)
    outputs = runs._model.predict(rows, np.ones(3))
    assert outputs.novelty is not None
    outputs.novelty[1] = np.nan
    found = Batch(runs._standard, inputs_of(rows, 1.0, True), outputs)
    assert found.finite.tolist() == [True, False, True]


def test_without_a_reference_for_novelty_nothing_is_novel() -> None:
    found = runs_of(CUBIC).predict(inputs_of(CUBIC.rows(2).astype(np.float32), 1.0, True))
    assert found.novelty is None
    assert (observed(found.observed()).novel_rows, observed(found.observed()).novel.tolist()) == (0, [False, False])
    assert [row["novelty"] for row in prediction_rows(found, CUBIC.names)] == [None, None]
