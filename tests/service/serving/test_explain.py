"""Explanations: limits before any work, what each level would change, and nothing of it counted as traffic."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chainzrule.service.errors import InvalidInput, NoBounds, NonFiniteOutput, TooLarge
from chainzrule.service.serving import explain as explaining
from chainzrule.service.serving.explain import Explanation, explain
from chainzrule.service.serving.question import Allowance, Question
from chainzrule.service.serving.version import ServedModel
from tests.artifacts import BINARY, CLASSIFIER, CUBIC, MIXED, ORDINAL, REGRESSION, Toy, categorical, numeric, probed
from tests.service.serving.bounded import bounded
from tests.service.serving.conftest import Load, entered

pytestmark = pytest.mark.anyio

ALLOWANCE = Allowance(draws=1000, measured_share=0.0, certificates=4, batch_rows=1024)
ROWS = [[3.0, "red", 1.0, "north"], [-2.0, "blue", 0.0, "south"]]


async def ask(served: ServedModel, instances: Any, allowance: Allowance = ALLOWANCE, **question: Any) -> Explanation:
    deadline = asyncio.get_running_loop().time() + 30.0
    return await explain(served, Question(instances, **question), allowance, deadline)


@pytest.mark.parametrize(
    ("limit", "most", "question", "place"),
    [
        ("MAX_ENTRIES", 7, {}, "instances"),
        ("MAX_ENTRIES", 1, {"top": 1}, "instances"),
        ("MAX_JACOBIAN", 2 * 3 * 7 - 1, {"include": frozenset(["jacobian"])}, "instances"),
        ("MAX_SWITCHES", 9, {}, "instances"),
        (None, 0, {"draws": 501}, "draws"),
    ],
)
async def test_what_is_too_large_is_refused_before_any_work(
    load: Load, monkeypatch: pytest.MonkeyPatch, limit: str | None, most: int, question: dict[str, Any], place: str
) -> None:
    served = await load(MIXED)
    if limit is not None:
        monkeypatch.setattr(explaining, limit, most)
    with pytest.raises(TooLarge) as caught:
        await ask(served, [["not", "even", "a", "row"]] * 2, **question)
    assert caught.value.place == place
    assert served.statistics.executions == 0


@pytest.mark.parametrize(
    ("limit", "most", "question"),
    [
        ("MAX_ENTRIES", 8, {}),
        ("MAX_ENTRIES", 2, {"top": 1}),
        ("MAX_JACOBIAN", 2 * 3 * 7, {"include": frozenset(["jacobian"])}),
        ("MAX_JACOBIAN", 0, {}),
        ("MAX_SWITCHES", 10, {}),
        (None, 0, {"draws": 500}),
    ],
)
async def test_what_just_fits_is_answered(
    load: Load, monkeypatch: pytest.MonkeyPatch, limit: str | None, most: int, question: dict[str, Any]
) -> None:
    if limit is not None:
        monkeypatch.setattr(explaining, limit, most)
    assert (await ask(await load(MIXED), ROWS, **question)).features.shape == (2, 7)


async def test_certificates_are_refused_before_any_work(load: Load) -> None:
    served = await load(CLASSIFIER)
    with pytest.raises(NoBounds):
        await ask(served, CLASSIFIER.rows(1).tolist(), radius=1.0)
    with pytest.raises(TooLarge, match="at most 4 rows"):
        await ask(served, CLASSIFIER.rows(5).tolist(), box={"height": 1.0})
    assert served.statistics.executions == 0


async def test_measuring_by_further_runs_keeps_to_the_allowance(load: Load) -> None:
    served = await load(probed(CLASSIFIER, "finite_difference"))
    with pytest.raises(TooLarge, match="further runs"):
        await ask(served, CLASSIFIER.rows(251).tolist())  # of four each
    assert served.statistics.executions == 0
    assert (await ask(served, CLASSIFIER.rows(1).tolist())).jacobian.shape == (1, 3, 2)


@pytest.mark.parametrize("batch_rows", [1, 2, 4, 1024])
async def test_a_switch_is_what_the_output_would_be_at_each_level(load: Load, batch_rows: int) -> None:
    found = await ask(await load(MIXED), ROWS, replace(ALLOWANCE, batch_rows=batch_rows))
    assert set(found.switches) == {"colour", "site"}
    rows = found.features.astype(np.float64)
    label = MIXED.scores(rows).argmax(axis=1)
    own = MIXED.probabilities(rows)
    for name, start, levels in (("colour", 1, 3), ("site", 5, 2)):
        for level in range(levels):
            switched = rows.copy()
            switched[:, start : start + levels] = np.eye(levels)[level]
            change = (MIXED.probabilities(switched) - own)[np.arange(2), label]
            np.testing.assert_allclose(found.switches[name][:, level], change, atol=1e-5)
    assert found.switches["colour"][0, 0] == pytest.approx(0.0, abs=1e-7)  # the level that the row has


async def test_a_table_of_numbers_has_no_switches(load: Load) -> None:
    assert (await ask(await load(CLASSIFIER), CLASSIFIER.rows(1).tolist())).switches == {}


@pytest.mark.parametrize("toy", [CLASSIFIER, REGRESSION, CUBIC], ids=lambda toy: toy.name)
async def test_effects_are_the_closed_forms(load: Load, toy: Toy) -> None:
    rows = toy.rows(3)
    found = await ask(await load(toy), rows.tolist(), noise_scale=2.0)
    np.testing.assert_allclose(found.jacobian, toy.jacobian(rows), rtol=1e-4, atol=1e-6)
    gradient = found.share.result.diagnosis.gradient[found.share.start : found.share.stop]
    slope = np.einsum("ns,nsd->nd", gradient, toy.jacobian(rows))
    np.testing.assert_allclose(found.sensitivity.effect, 2.0 * slope * toy.columns[2], rtol=1e-3, atol=1e-7)


async def test_draws_give_the_outputs_own_slopes(load: Load) -> None:
    served = await load(probed(REGRESSION, "monte_carlo", 512))
    found = await ask(served, REGRESSION.rows(1).tolist())
    slope = found.share.result.slope
    assert slope is not None
    np.testing.assert_allclose(found.sensitivity.gradient[0], slope[found.share.start], rtol=1e-12)


async def test_nothing_is_observed(load: Load) -> None:
    served = await load(MIXED)
    await ask(served, ROWS, draws=10)
    await entered()
    assert served.statistics.executions > 0
    assert served.window.samples == 0


async def test_layers_draws_and_certificates_are_there_where_asked_for(load: Load) -> None:
    served, rows = await load(CLASSIFIER), CLASSIFIER.rows(2)
    plain = await ask(served, rows.tolist())
    assert (plain.layer_norms.shape, plain.counted, plain.certificates) == ((2, 0), None, None)
    full = await ask(served, rows.tolist(), include=frozenset(["layers"]), draws=20)
    noisy = CLASSIFIER.jacobian(rows) * CLASSIFIER.columns[2]
    np.testing.assert_allclose(full.layer_norms[:, 0], np.linalg.norm(noisy, axis=(1, 2)), rtol=1e-4)
    assert full.counted is not None
    assert len(full.counted) == 2
    with pytest.raises(InvalidInput, match="layers are not known") as caught:
        await ask(await load(probed(CLASSIFIER, "finite_difference")), rows.tolist(), include=frozenset(["layers"]))
    assert caught.value.place == "include"


async def test_violations_are_told_where_the_card_declares_an_effect(load: Load) -> None:
    assert (await ask(await load(BINARY), BINARY.rows(1).tolist())).violations is None
    rising = numeric("height", monotone="increasing")
    against = replace(REGRESSION, name="against", features=(rising,), weights=np.array([[-1.0]]))
    along = replace(REGRESSION, name="along", features=(rising,), weights=np.array([[1.0]]))
    broken = (await ask(await load(against), [[1.0], [2.0]])).violations
    assert broken is not None
    assert [[one.feature for one in row] for row in broken] == [["height"], ["height"]]
    assert (await ask(await load(along), [[1.0], [2.0]])).violations == [[], []]


async def test_the_strongest_features_come_first(load: Load) -> None:
    served = await load(MIXED)
    found = await ask(served, ROWS)
    encoder = served.model.rows
    assert len(found.order(encoder, None)) == len(ROWS)
    for row, order in enumerate(found.order(encoder, None)):
        weight = []
        for name in encoder.names:
            if name in found.switches:
                weight.append(np.abs(found.switches[name][row]).max())
            else:
                weight.append(abs(found.sensitivity.effect[row, encoder.start[name]]))
        assert order == np.argsort(-np.array(weight), kind="stable").tolist()
    assert [order[:2] for order in found.order(encoder, None)] == found.order(encoder, 2)


async def test_answers_that_are_not_finite_are_refused_by_their_row(load: Load) -> None:
    with pytest.raises(NonFiniteOutput) as caught:
        await ask(await load(CUBIC), [*CUBIC.rows(1).tolist(), [1e20, 0.0]])
    assert caught.value.place == "instances[1]"


async def test_a_switch_whose_answer_is_not_finite_is_refused(load: Load) -> None:
    """The row's own level is served, and so are the levels of the golden rows."""
    levels = tuple(f"level {number}" for number in range(30))
    weights = np.zeros((3, 31))
    weights[0, 1:] = np.linspace(-1.0, 1.0, 30)
    toy = Toy(name="steep", features=(numeric("height"), categorical("kind", *levels)), weights=weights)
    golden = toy.rows(4, seed=toy.seed + 100)[:, 1:].argmax(axis=1)
    free = next(level for level in range(30) if level not in golden)
    weights[0, 1 + free] = 3.4e38
    bent = replace(toy, bias=np.array([3.4e38, 0.0, 0.0]))
    served = await load(bent)
    with pytest.raises(NonFiniteOutput, match="switched level is not finite") as caught:
        await ask(served, [[1.0, levels[golden[0]]]])
    assert caught.value.place == "instances"


@pytest.mark.parametrize("toy", [BINARY, ORDINAL, REGRESSION], ids=lambda toy: toy.name)
async def test_certificates_are_given_for_a_radius_and_for_a_box(load: Load, toy: Toy) -> None:
    served, rows = await load(bounded(toy)), toy.rows(2)
    scores, noise = toy.scores(rows), toy.columns[2]
    for question, reach in (
        ({"radius": 0.5}, 0.5 * np.abs(toy.jacobian(rows)) @ noise),
        ({"box": {"height": 0.25}}, 0.25 * np.abs(toy.jacobian(rows))[:, :, 0]),
    ):
        found = (await ask(served, rows.tolist(), **question)).certificates
        assert found is not None
        np.testing.assert_allclose(found.bounds.lower, scores - reach, atol=1e-4)  # the toys are linear
        np.testing.assert_allclose(found.bounds.upper, scores + reach, atol=1e-4)
        assert (found.largest is None) == (toy is REGRESSION)


async def test_a_box_on_one_side_grows_nearly_until_the_label_changes(load: Load) -> None:
    served, row = await load(bounded(BINARY)), BINARY.rows(1)
    scores, label = BINARY.scores(row)[0], int(BINARY.scores(row)[0].argmax())
    lead = scores[label] - scores[1 - label]
    slope = BINARY.jacobian(row)[0, label, 0] - BINARY.jacobian(row)[0, 1 - label, 0]
    own = float(row[0, 0])
    ends = sorted([own, own - float(np.sign(slope))])  # towards the boundary, and not away from it
    found = (await ask(served, row.tolist(), box={"height": ends})).certificates
    assert found is not None
    assert found.largest == [pytest.approx(lead / abs(slope), rel=2e-3)]
