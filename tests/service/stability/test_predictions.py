"""Measured batches: what one row is does not touch the others, and views of a batch say the same of it."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chainzrule.service.api.answers import prediction_rows
from chainzrule.service.serving.runs import inputs_of, join
from chainzrule.service.stability.certificate import Conclusions, conclude
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.observed import Observed
from chainzrule.service.stability.predictions import Batch
from chainzrule.service.stability.reference import percentiles
from chainzrule.service.stability.verdict import VERDICTS
from tests.answers import assert_same
from tests.artifacts import ALL, BINARY, CLASSIFIER, CUBIC, FAMILIAR, MIXED, ORDINAL, REGRESSION, Toy
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
    levels, _, members = zip(*stability, strict=True)
    assert list(levels) == found.level.tolist()
    for member, given in zip(found.standard.members, zip(*members, strict=True), strict=True):
        measured = found.diagnosis[member.field]
        if member.known is not None:
            measured = percentiles(measured, member.known)
        assert math.inf not in given  # which is no JSON
        assert [math.inf if value is None else value for value in given] == measured.tolist(), member.name


@pytest.mark.parametrize("toy", [CLASSIFIER, ORDINAL], ids=lambda toy: toy.name)
def test_each_row_has_its_set_at_its_own_confidence(toy: Toy) -> None:
    runs, rows = runs_of(toy), toy.rows(12).astype(np.float32)
    asked = [0.5, 0.9, 0.995]  # the last of which 99 rows cannot answer
    found = runs.predict(join([inputs_of(rows[at::3], 1.0, True, one) for at, one in enumerate(asked)]))
    assert found.sets is not None
    for at, confidence in enumerate(asked):
        alone = runs.predict(inputs_of(rows[at::3], 1.0, True, confidence))
        assert alone.sets is not None
        np.testing.assert_array_equal(found.sets[4 * at : 4 * at + 4], alone.sets)
    assert found.sets[8:].all()
    assert found.sets[np.arange(12), found.label].tolist() == found.sets.any(axis=1).tolist()
    assert not found.sets[:8].all()


def test_each_row_has_its_interval_at_its_own_confidence() -> None:
    runs, row = runs_of(REGRESSION), REGRESSION.rows(1).astype(np.float32)
    asked = [0.5, 0.9, 0.995, 0.9]
    found = runs.predict(
        join([inputs_of(row, scale, True, one) for scale, one in zip((1, 1, 1, 9), asked, strict=True)])
    )
    value = found.value[0]
    unit = 2.5 + 1.5 * found.diagnosis.gradient_norm[0]
    regions = [listed[3] for listed in found.listed()]
    assert regions[0] == pytest.approx([value - unit, value + unit], rel=1e-9)
    assert regions[1] == pytest.approx([value - 1.8 * unit, value + 1.8 * unit], rel=1e-9)
    assert regions[2] == [None, None]  # infinite, which is no JSON
    assert regions[3] == regions[1]  # whatever noise is asked about


def _last(part: Any) -> Any:
    return tuple(end[-1:] for end in part) if isinstance(part, tuple) else part[-1:]


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.995])
@pytest.mark.parametrize("toy", [CLASSIFIER, BINARY, ORDINAL, REGRESSION], ids=lambda toy: toy.name)
@pytest.mark.parametrize("count", [1, 4])
def test_a_region_of_a_box_holds_those_of_all_points_in_it(toy: Toy, count: int, confidence: float) -> None:
    runs, rows = runs_of(toy), toy.rows(6).astype(np.float32)[2 : 2 + count]
    random, radius = np.random.default_rng(1), 0.4 * toy.columns[1]
    points = rows + radius * random.uniform(-1, 1, size=(300, *rows.shape))
    scores = toy.scores(points)
    link, lower, upper = link_of(toy.task, toy.scores_count), scores.min(axis=0), scores.max(axis=0)
    found = runs.predict(join([inputs_of(rows, 1.0, True, confidence)]))
    own = scores[:, np.arange(count), found.label][..., None] - scores
    reached = conclude(link, found.label, lower, upper, own.min(axis=0), own.max(axis=0))
    regions = found.regions_within(reached, slice(None))
    assert len(regions) == count
    for row, region in enumerate(regions):
        assert region is not None
        there = runs.predict(inputs_of(points[:, row].astype(np.float32), 1.0, True, confidence))
        if toy.names:
            assert there.sets is not None
            assert set(np.flatnonzero(there.sets.any(axis=0))) <= set(region)
        elif confidence == 0.995:
            assert region == [None, None]
        else:
            assert there.intervals is not None
            assert region == pytest.approx([there.intervals[0].min(), there.intervals[1].max()], rel=1e-4)
    assert (
        found.regions_within(Conclusions(*(None if part is None else _last(part) for part in reached)), slice(-1, None))
        == regions[-1:]
    )


@pytest.mark.parametrize("toy", [CLASSIFIER, REGRESSION], ids=lambda toy: toy.name)
def test_a_card_that_knows_no_errors_gives_no_regions(toy: Toy) -> None:
    toy, rows = replace(toy, changes={"conformity": None}), toy.rows(3).astype(np.float32)
    for count in (1, 3):
        found = runs_of(toy).predict(inputs_of(rows[:count], 1.0, True))
        assert (found.sets, found.intervals) == (None, None)
        assert [row[3] for row in found.listed()] == [None] * count
        ends = (found.value, found.value)
        reached = Conclusions(probabilities=(found.probabilities,) * 2) if toy.names else Conclusions(value=ends)
        assert found.regions_within(reached, slice(None)) == [None] * count


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
