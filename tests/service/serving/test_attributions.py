"""Attributions of served models: parts that add up, from a stated baseline, within the question's limits."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chainzrule.service.artifact.features import Bend
from chainzrule.service.errors import InvalidInput, NonFiniteOutput, TooLarge
from chainzrule.service.serving import attributions as attributing
from chainzrule.service.serving.attributions import Attributions, check_attributions, encode_baseline
from chainzrule.service.serving.explain import explain
from chainzrule.service.serving.question import Allowance, Question
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.attributions import NODES
from tests.artifacts import BINARY, CLASSIFIER, CUBIC, IMAGE, MIXED, ORDINAL, REGRESSION, Toy, numeric, probed
from tests.service.serving.conftest import Load

pytestmark = pytest.mark.anyio

ALLOWANCE = Allowance(draws=100_000, measured_share=0.0, certificates=4, batch_rows=1024)
INCLUDE = frozenset(["attributions"])


async def ask(served: ServedModel, instances: Any, allowance: Allowance = ALLOWANCE, **question: Any) -> Attributions:
    deadline = asyncio.get_running_loop().time() + 30.0
    found = await explain(served, Question(instances, include=INCLUDE, **question), allowance, deadline)
    assert found.attributions is not None
    return found.attributions


def closed_form(toy: Toy, baseline: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(rows, S, D) contributions to the scores of a toy, whose columns add up."""
    mean, std, _ = toy.columns
    ends = [(part - mean) / std for part in (baseline, rows)]
    before, after = (z + toy.cubic * z**3 for z in ends)
    return toy.W[None] * (after - before)[:, None, :]


@pytest.mark.parametrize("toy", [CLASSIFIER, BINARY, ORDINAL, REGRESSION, CUBIC, IMAGE], ids=lambda toy: toy.name)
async def test_parts_are_the_closed_form_and_add_up(load: Load, toy: Toy) -> None:
    rows, baseline = toy.rows(5), toy.rows(1, seed=9)
    found = await ask(await load(toy), rows.tolist(), baseline=baseline[0].tolist())
    parts, scores = closed_form(toy, baseline, rows), toy.scores(rows)
    expected, value = parts[:, 0], scores[:, 0]
    if toy.task == "classification":
        each, label = np.arange(5), scores.argmax(axis=1)
        assert (found.over != label).all()
        expected, value = parts[each, label] - parts[each, found.over], scores[each, label] - scores[each, found.over]
    np.testing.assert_allclose(found.features, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.value, value, atol=1e-5)
    np.testing.assert_allclose(found.features.sum(axis=1), found.value - found.baseline_value, atol=1e-5)
    assert (found.gap <= 3e-6 * np.abs(scores).max()).all()
    np.testing.assert_array_equal(found.nodes, 2)  # 3 is the highest degree here


async def test_without_a_baseline_it_is_the_middle(load: Load) -> None:
    rows = [[3.0, "red", 1.0, "north"], [None, "blue", 0.0, "south"]]
    served = await load(MIXED)
    found = await ask(served, rows)
    middle = np.array([1.0, 1 / 3, 1 / 3, 1 / 3, 1.0, 0.5, 0.5], np.float32)
    np.testing.assert_array_equal(found.baseline, [middle, middle])
    assert found.features.shape == (2, 4)  # a category's columns are one part
    encoded = served.model.rows.encode(rows).astype(np.float64)
    parts = closed_form(MIXED, middle.astype(np.float64)[None], encoded)
    label = MIXED.scores(encoded).argmax(axis=1)
    lead = parts[[0, 1], label] - parts[[0, 1], found.over]
    expected = np.stack([lead[:, 0], lead[:, 1:4].sum(axis=1), lead[:, 4], lead[:, 5:].sum(axis=1)], axis=1)
    np.testing.assert_allclose(found.features, expected, rtol=1e-4, atol=1e-5)
    picture = await ask(await load(IMAGE), IMAGE.rows(1).tolist())
    np.testing.assert_array_equal(picture.baseline, np.full((1, 6), 33.0, np.float32))


async def test_a_baseline_is_a_row_of_the_model(load: Load) -> None:
    served = await load(MIXED)
    given = {"age": 1.5, "colour": "blue", "dose": 0.0, "site": None}
    with pytest.raises(InvalidInput) as caught:
        await ask(served, [[3.0, "red", 1.0, "north"]], baseline=given)
    assert caught.value.place == "baseline.site"
    with pytest.raises(InvalidInput) as caught:
        await ask(served, [[3.0, "red", 1.0, "north"]], baseline=[1.0])
    assert caught.value.place == "baseline"
    found = await ask(served, [[3.0, "red", 1.0, "north"]], baseline=given | {"site": "south"})
    np.testing.assert_array_equal(found.baseline, [[1.5, 0, 0, 1, 0, 0, 1]])


async def test_a_gap_of_a_row_is_one_of_its_baseline(load: Load) -> None:
    served = await load(CLASSIFIER)
    rows = np.array([[np.nan, 1.0], [2.0, 1.0]], np.float32)
    np.testing.assert_array_equal(encode_baseline(served, [4.0, 5.0], rows), [[np.nan, 5.0], [4.0, 5.0]])
    served.model.rows.gaps = np.array([True, False])
    served.model.rows.encode = lambda instances: np.array([[np.nan, 5.0]], np.float32)  # type: ignore[method-assign]
    with pytest.raises(InvalidInput, match="has a gap where a row has none"):
        encode_baseline(served, [None, 5.0], rows)
    np.testing.assert_array_equal(encode_baseline(served, [None, 5.0], rows[:1]), [[np.nan, 5.0]])


async def test_bent_columns_are_read_from_the_card(load: Load) -> None:
    bend = Bend(start=0.0, scale=1.0, mean=0.0, std=1.0)
    served = await load(replace(MIXED, features=(*MIXED.features[:2], numeric("dose", bend=bend), MIXED.features[3])))
    assert attributing._bends(served) == [(4, bend)]
    assert attributing._bends(await load(IMAGE)) == []


async def test_more_rows_than_fit_in_a_run_are_run_in_parts(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    served, rows = await load(CUBIC), CUBIC.rows(7).tolist()
    whole = await ask(served, rows)
    monkeypatch.setattr(attributing, "JACOBIAN_VALUES", 3 * 2 * 5)  # two rows of two nodes
    parts = await ask(served, rows)
    np.testing.assert_allclose(parts.features, whole.features, rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(attributing, "JACOBIAN_VALUES", 3 * 2 * 3)  # three of five nodes
    served.nodes = 5
    parts = await ask(served, rows)
    np.testing.assert_array_equal(parts.nodes, 5)
    np.testing.assert_allclose(parts.features, whole.features, rtol=1e-5, atol=1e-6)
    few = await ask(served, rows, replace(ALLOWANCE, batch_rows=1))
    np.testing.assert_allclose(few.features, whole.features, rtol=1e-5, atol=1e-6)


async def test_enough_nodes_are_found_once(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    served = await load(CUBIC)
    assert served.nodes is None
    await ask(served, CUBIC.rows(1).tolist())
    assert served.nodes == 2
    served.nodes = 14
    found = await ask(served, CUBIC.rows(2).tolist())
    np.testing.assert_array_equal(found.nodes, 14)
    bad = await load(CUBIC)
    monkeypatch.setattr(attributing, "TOLERANCE", 0.0)
    await ask(bad, CUBIC.rows(1).tolist())
    assert bad.nodes == 2  # none is enough, so each row finds its own


async def test_nodes_are_added_until_the_parts_add_up(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    served = await load(CUBIC)
    monkeypatch.setattr(attributing, "NODES", (1, 2, 5))  # one node is exact for a straight line alone
    served.nodes = 1
    found = await ask(served, CUBIC.rows(4).tolist())
    np.testing.assert_array_equal(found.nodes, 2)
    monkeypatch.setattr(attributing, "PATH_VALUES", 3)  # two nodes of two inputs are too many
    served.nodes = 1
    np.testing.assert_array_equal((await ask(served, CUBIC.rows(4).tolist())).nodes, 1)
    monkeypatch.undo()
    monkeypatch.setattr(attributing, "NODES", (1, 2, 5))
    served.nodes = 1
    (poor,) = (await ask(served, CUBIC.rows(1).tolist(), replace(ALLOWANCE, draws=2))).gap
    assert poor > 1e-4
    assert (found.gap < 1e-5).all()


async def test_probed_models_say_how_far_they_are_off(load: Load) -> None:
    rows = CUBIC.rows(2)
    served = await load(probed(CUBIC, "finite_difference"))
    found = await ask(served, rows.tolist())
    assert served.nodes == NODES[0]
    missed = np.abs(found.features.sum(axis=1) - (found.value - found.baseline_value))
    np.testing.assert_allclose(found.gap, missed, atol=1e-12)
    assert (found.gap < 0.02 * np.abs(found.value)).all()


async def test_what_is_too_large_is_refused_before_any_work(load: Load) -> None:
    served = await load(probed(CUBIC, "finite_difference"))  # four further runs a row and node
    tight = replace(ALLOWANCE, draws=16)
    check_attributions(served, 2, tight, 30.0)
    with pytest.raises(TooLarge, match="at most 2 rows"):
        check_attributions(served, 3, tight, 30.0)
    with pytest.raises(TooLarge, match="longer than the request may"):
        check_attributions(served, 2, tight, 0.0)
    with pytest.raises(TooLarge):
        await ask(served, [["no", "row"]] * 3, tight)
    assert served.statistics.executions == 0


async def test_a_baseline_where_the_model_overflows_is_refused(load: Load) -> None:
    with pytest.raises(NonFiniteOutput) as caught:
        await ask(await load(CUBIC), CUBIC.rows(1).tolist(), baseline=[1e20, 0.0])
    assert caught.value.place == "baseline"
