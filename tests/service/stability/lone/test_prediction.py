"""A lone prediction has the interface of a batch, and says what a batch of it and another row says of it."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.stability.batch import Batch
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.lone.prediction import LonePrediction
from tests.answers import assert_same
from tests.artifacts import ALL, CLASSIFIER, CUBIC, FAMILIAR, MIXED, ORDINAL, Toy
from tests.runs import runs_of


def pair(toy: Toy, row: np.ndarray, scale: float = 1.0, confidence: float = 0.9) -> tuple[LonePrediction, Batch]:
    """The row alone, and in a batch of two."""
    runs = runs_of(toy)
    alone = runs.predict(inputs_of(row, scale, True, confidence))
    beside = runs.predict(inputs_of(np.repeat(row, 2, axis=0), scale, True, confidence))
    assert isinstance(alone, LonePrediction)
    assert isinstance(beside, Batch)
    return alone, beside


@pytest.mark.parametrize("confidence", [0.3, 0.9, 0.995])
@pytest.mark.parametrize("scale", [1.0, 2.5])
@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
def test_it_says_what_a_batch_says(toy: Toy, scale: float, confidence: float) -> None:
    alone, beside = pair(toy, toy.rows(1).astype(np.float32), scale, confidence)
    assert (len(alone), alone.finite.tolist(), alone.all_finite) == (1, [True], True)
    for name, expected in beside.diagnosis._asdict().items():
        np.testing.assert_allclose(getattr(alone.diagnosis, name)[0], expected[0], rtol=1e-9, atol=1e-12, err_msg=name)
    assert alone.level.tolist() == beside.level[:1].tolist()
    assert (alone.label.tolist(), alone.outside.tolist()) == (beside.label[:1].tolist(), beside.outside[:1].tolist())
    [ours], [theirs, _] = alone.listed(), beside.listed()
    assert ours[-1] is not None
    assert theirs[-1] is not None
    assert ours[-1][:2] == theirs[-1][:2]
    assert_same(list(ours[-1][2]), list(theirs[-1][2]))
    assert_same(ours[2], theirs[2])
    assert ours[3] is not None
    assert theirs[3] is not None
    assert_same(list(ours[3]), list(theirs[3]))
    assert_same(list(ours[4] or ()), list(theirs[4] or ()))


@pytest.mark.parametrize("age", [1.0, 18.65, 18.75, 25.0])  # the limit is at 18.7, where the novelty is 9.85
def test_it_is_as_novel_as_in_a_batch(age: float) -> None:
    alone, beside = pair(FAMILIAR, np.array([[age, -0.5]], dtype=np.float32))
    one, two = alone.observed(), beside.observed()
    assert one is not None
    assert two is not None
    assert (one.novel, one.novel_rows) == (age > 18.7, int(age > 18.7))
    assert two.novel.tolist() == [one.novel] * 2
    [ours], [theirs, _] = alone.listed(), beside.listed()
    assert ours[4] is not None
    assert ours[4][1] == (["age"] if age > 18.7 else [])
    assert_same(list(ours[4] or ()), list(theirs[4] or ()))
    assert ours[6] is not None
    assert theirs[6] is not None
    assert ours[6][:2] == theirs[6][:2]


@pytest.mark.parametrize("toy", [CLASSIFIER, ORDINAL], ids=lambda toy: toy.name)
def test_it_is_as_close_as_in_a_batch(toy: Toy) -> None:
    known = toy.card().conformity
    assert known is not None
    seen = set()
    for temperature in (0.0625, 0.25, 1.0):
        tempered = replace(toy, changes={"conformity": known.model_copy(update={"temperature": temperature})})
        for row in toy.rows(12).astype(np.float32):
            alone, beside = pair(tempered, row[None])
            right = tempered_chance(toy, row, temperature)
            [ours], [theirs, _] = alone.listed(), beside.listed()
            assert ours[6] is not None
            assert theirs[6] is not None
            assert ours[6][:2] == theirs[6][:2]
            assert ("close_call" in ours[6][1]) == (right < 0.9)
            assert ours[6][0] >= int(right < 0.9)
            told = alone.observed()
            assert told is not None
            assert told.close_rows == int(right < 0.9)
            seen.add(right < 0.9)
    assert seen == {False, True}


def tempered_chance(toy: Toy, row: np.ndarray, temperature: float) -> float:
    """The likelihood of the label itself, whose scores are divided."""
    scores = toy.scores(row[None].astype(np.float64))
    link = link_of(toy.card().task, scores.shape[1])
    return float(np.exp(link.log_likelihood(scores / temperature, link.label(scores)))[0])


def test_what_is_observed_is_in_plain_numbers() -> None:
    alone, beside = pair(MIXED, np.array([[11, 0, 1, 0, -11, 1, 0]], dtype=np.float32))
    found, expected = alone.observed(), beside.observed()
    assert found is not None
    assert expected is not None
    assert (found.rows, found.outside, found.outside_rows) == (1, True, 1)
    assert found.level == expected.level[0]
    assert found.out_of_range == dict.fromkeys(expected.out_of_range, 1) == {"age": 1, "dose": 1}
    assert sum(found.verdicts.values()) == 1
    assert isinstance(found.diagnosis.gradient_norm, float)
    assert found.diagnosis.gradient_norm == pytest.approx(expected.diagnosis.gradient_norm[0])


def test_a_row_that_is_not_finite_or_not_to_be_observed_is_not() -> None:
    runs = runs_of(CUBIC)
    bad = runs.predict(inputs_of(np.array([[1e20, 0.0]], dtype=np.float32), 1.0, True))
    assert (bad.all_finite, bad.finite.tolist(), bad.observed()) == (False, [False], None)
    assert runs.predict(inputs_of(CUBIC.rows(1).astype(np.float32), 1.0, observe=False)).observed() is None
