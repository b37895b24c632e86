"""Predictions of a run: sets and intervals of every row, at its own confidence and within a box."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chainzrule.service.serving.runs import inputs_of, join
from chainzrule.service.stability.certificate import Conclusions, conclude
from chainzrule.service.stability.link import link_of
from tests.artifacts import BINARY, CLASSIFIER, ORDINAL, REGRESSION, Toy
from tests.runs import runs_of


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


def _last(part: Any) -> Any:
    return tuple(end[-1:] for end in part) if isinstance(part, tuple) else part[-1:]
