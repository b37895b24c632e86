"""The nearest points: exact where models are straight, near the best where they are not, within a budget."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.serving import nearest as searching
from chainzrule.service.serving.nearest import STEPS, Nearest, Reached, runs_of_derivatives
from chainzrule.service.serving.plan import make_plan
from chainzrule.service.serving.question import Change
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.counterfactual import Domain
from tests.artifacts import BINARY, CLASSIFIER, CUBIC, IMAGE, ORDINAL, REGRESSION, Toy, probed
from tests.service.serving.conftest import Load

pytestmark = pytest.mark.anyio


def searcher(served: ServedModel, change: Change, left: int = 10**6, batch_rows: int = 1024) -> Nearest:
    deadline = asyncio.get_running_loop().time() + 30.0
    return Nearest(served, make_plan(served, change, 1.0).goal, left, batch_rows, deadline)


def domain_of(served: ServedModel, rows: np.ndarray, change: Change) -> Domain:
    plan = make_plan(served, change, 1.0)
    parts = [plan.domain(row.astype(np.float32)) for row in rows]
    names = ("middle", "low", "high", "whole")
    return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def exact(toy: Toy, row: np.ndarray, target: int) -> float:
    """The distance of a straight model's boundary from a row, where no range is in the way."""
    s, slope = toy.scores(row[None])[0], toy.jacobian(row[None])[0] * toy.columns[2]
    label = int(s.argmax())
    return float((s[label] - s[target]) / np.abs(slope[label] - slope[target]).sum())


async def test_a_straight_models_boundary_is_found(load: Load) -> None:
    served, rows = await load(BINARY), BINARY.rows(6)
    target = 1 - BINARY.scores(rows).argmax(axis=1)
    found = await searcher(served, Change()).find(domain_of(served, rows, Change()), target)
    expected = [exact(BINARY, row, label) for row, label in zip(rows, target, strict=True)]
    close = np.array(expected) < 20  # others end at a range
    assert close.sum() >= 3
    # Rows far behind are given up, but every row has what its first turn found.
    np.testing.assert_allclose(found.distance[close], np.array(expected)[close], rtol=0.03)
    assert (found.distance[close] >= np.array(expected)[close]).all()
    np.testing.assert_array_equal(BINARY.scores(found.points.astype(np.float64)).argmax(axis=1)[close], target[close])


@pytest.mark.parametrize("toy", [CLASSIFIER, CUBIC, IMAGE], ids=lambda toy: toy.name)
async def test_nothing_that_was_drawn_nearer_by_reaches_the_target(load: Load, toy: Toy) -> None:
    served, rows = await load(toy), toy.rows(3)
    for row in rows:
        label = int(toy.scores(row[None]).argmax())
        targets = np.array([k for k in range(toy.scores_count) if k != label])
        domain = domain_of(served, np.repeat(row[None], len(targets), axis=0), Change())
        point, distance = (await searcher(served, Change()).find(domain, targets)).best()
        assert toy.scores(point[None].astype(np.float64)).argmax() != label
        random = np.random.default_rng(0)
        drawn = row + 0.99 * distance * toy.columns[2] * np.sign(random.normal(size=(4000, len(row))))
        inside = np.clip(drawn, domain.low[0], domain.high[0])
        assert (toy.scores(inside).argmax(axis=1) == label).all()


async def test_levels_and_numbers_are_reached(load: Load) -> None:
    served, row = await load(ORDINAL), ORDINAL.rows(1)
    level = int((ORDINAL.scores(row) > 0).sum())
    targets = np.array([k for k in range(4) if k != level])
    found = await searcher(served, Change()).find(
        domain_of(served, np.repeat(row, 3, axis=0), Change()), targets, rivals=False
    )
    reached = np.isfinite(found.distance)
    assert reached.any()
    levels = (ORDINAL.scores(found.points.astype(np.float64)) > 0).sum(axis=1)
    np.testing.assert_array_equal(levels[reached], targets[reached])

    served, row = await load(REGRESSION), REGRESSION.rows(1)
    value, slope = REGRESSION.scores(row)[0, 0], np.abs(REGRESSION.jacobian(row)[0, 0] * REGRESSION.columns[2]).sum()
    for change, sign in ((Change(at_least=value + 1.0), 1), (Change(at_most=value - 1.0), -1)):
        found = await searcher(served, change).find(domain_of(served, row, change), np.zeros(1, np.int64))
        assert found.distance[0] == pytest.approx(1.0 / slope, rel=1e-2)
        moved = REGRESSION.scores(found.points.astype(np.float64))[0, 0] - value
        assert sign * moved == pytest.approx(1.0, rel=1e-2)
        assert sign * moved >= 1.0


async def test_what_cannot_be_reached_is_not_found(load: Load) -> None:
    served, row = await load(REGRESSION), REGRESSION.rows(1)
    change = Change(at_least=1e6)
    search = searcher(served, change)
    found = await search.find(domain_of(served, row, change), np.zeros(1, np.int64))
    assert np.isinf(found.distance).all()
    np.testing.assert_array_equal(found.points, row.astype(np.float32))
    assert 10**6 - search.left < 1000  # it gives up soon
    assert found.best()[1] == np.inf


async def test_a_search_ends_when_its_runs_are_used_up(load: Load) -> None:
    served, rows = await load(CUBIC), CUBIC.rows(1)
    target = np.array([(int(CUBIC.scores(rows).argmax()) + 1) % 3])
    for left in (10, 40, 100):
        search = searcher(served, Change(), left)
        await search.find(domain_of(served, rows, Change()), target, CUBIC.scores(rows)[0])
        assert 0 <= search.left <= left
    assert np.isinf(
        (await searcher(served, Change(), 10).find(domain_of(served, rows, Change()), target)).distance
    ).all()


async def test_rows_are_searched_in_runs_of_few(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    served, rows = await load(CLASSIFIER), CLASSIFIER.rows(5)
    target = (CLASSIFIER.scores(rows).argmax(axis=1) + 1) % 3
    domain = domain_of(served, rows, Change())
    whole = await searcher(served, Change()).find(domain, target, rivals=False)
    parts = await searcher(served, Change(), batch_rows=2 * STEPS).find(domain, target, rivals=False)
    np.testing.assert_allclose(parts.distance, whole.distance, rtol=1e-5)
    monkeypatch.setattr(searching, "GRID_VALUES", 1)  # so that a thread writes the points, one row at a time
    small = await searcher(served, Change()).find(domain, target, rivals=False)
    np.testing.assert_allclose(small.distance, whole.distance, rtol=1e-5)


async def test_derivatives_by_further_runs_are_counted(load: Load) -> None:
    served = await load(probed(CLASSIFIER, "finite_difference"))
    assert runs_of_derivatives(served) == 4
    search = searcher(served, Change(), 100)
    row = CLASSIFIER.rows(1).astype(np.float32)
    scores = await search.score(row)
    assert search.left == 99
    slope = await search.slope(row, scores, np.array([1]))
    assert search.left == 95
    J, label = CLASSIFIER.jacobian(row.astype(np.float64))[0], int(scores.argmax())
    if label != 1:
        np.testing.assert_allclose(slope[0], J[1] - J[label], rtol=1e-3)


def test_the_best_of_several_is_the_nearest() -> None:
    reached = Reached(np.eye(3, dtype=np.float32), np.array([np.inf, 2.0, 3.0]))
    point, distance = reached.best()
    np.testing.assert_array_equal(point, [0, 1, 0])
    assert distance == 2.0
