"""The smallest change that changes an answer: as the model says itself, within what was allowed, between two bounds."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chainzrule.service.errors import DeadlineExceeded, InvalidInput, TooLarge
from chainzrule.service.serving import counterfactual as finding
from chainzrule.service.serving.counterfactual import Counterfactual, Counterfactuals, check_counterfactuals
from chainzrule.service.serving.explain import explain
from chainzrule.service.serving.question import Allowance, Change, Question
from chainzrule.service.serving.version import ServedModel
from tests.artifacts import BINARY, CLASSIFIER, CUBIC, IMAGE, MIXED, ORDINAL, REGRESSION, SILENT, Toy, numeric, probed
from tests.service.serving.bounded import bounded
from tests.service.serving.conftest import Load, entered

pytestmark = pytest.mark.anyio

ALLOWANCE = Allowance(draws=100_000, measured_share=0.0, certificates=8, batch_rows=1024)
ANY = Change()
LEVELS = replace(
    MIXED,
    name="levels",
    features=(numeric("age", low=0.0, high=2.0), *MIXED.features[1:]),
    labels=("no", "yes"),
    weights=np.array([[0.1, 0.0, -3.0, 0.5, 0.0, 0.0, -1.0], [-0.1, 0.0, 3.0, -0.5, 0.0, 0.0, 1.0]]),
    bias=np.array([2.0, -2.0]),
)


async def ask(
    served: ServedModel, instances: Any, change: Change = ANY, allowance: Allowance = ALLOWANCE, **question: Any
) -> Counterfactuals:
    deadline = asyncio.get_running_loop().time() + 30.0
    asked = Question(instances, counterfactual=change, **question)
    found = await explain(served, asked, allowance, deadline)
    assert found.counterfactuals is not None
    return found.counterfactuals


def only(found: Counterfactuals) -> tuple[Counterfactual, np.ndarray]:
    (one,) = found.found
    assert one.point is not None
    return one, one.point.astype(np.float64)


@pytest.mark.parametrize("toy", [CLASSIFIER, BINARY, ORDINAL, CUBIC, IMAGE], ids=lambda toy: toy.name)
async def test_the_label_changes_between_what_is_proved_and_what_is_found(load: Load, toy: Toy) -> None:
    served, rows = await load(bounded(toy)), toy.rows(6)
    found = await ask(served, rows.tolist())
    label = served.model.link.label(toy.scores(rows))
    answered = 0
    for number, (one, row) in enumerate(zip(found.found, rows, strict=True)):
        assert one.certified is not None
        if one.point is None:
            assert one.reason is not None
            continue
        answered += 1
        assert one.distance is not None
        assert one.certified <= one.distance
        assert one.certified >= (0.5 if toy is CUBIC else 0.97) * one.distance - 1e-6
        (changed,) = served.model.link.label(toy.scores(one.point[None].astype(np.float64)))
        assert changed != label[number]
        assert found.share.result.label[found.share.start + number] == changed
        moved = np.abs(one.point - row) / toy.columns[2]
        assert moved.max() == pytest.approx(one.distance, rel=1e-5)
    assert answered >= 3
    # Half the noise, twice the sigmas.
    halved = await ask(served, rows.tolist(), noise_scale=0.5)
    for one, other in zip(found.found, halved.found, strict=True):
        if one.distance is not None:
            assert other.distance == pytest.approx(2 * one.distance, rel=1e-3)


async def test_a_label_can_be_named(load: Load) -> None:
    served, rows = await load(bounded(CLASSIFIER)), CLASSIFIER.rows(4)
    nearest = await ask(served, rows.tolist())
    for name in CLASSIFIER.names:
        found = await ask(served, rows.tolist(), Change(label=name))
        for number, one in enumerate(found.found):
            if one.point is None:
                continue
            assert CLASSIFIER.names[found.share.result.label[found.share.start + number]] == name
            least = nearest.found[number].distance
            if int(CLASSIFIER.scores(rows[[number]]).argmax()) == CLASSIFIER.names.index(name):
                assert (one.distance, one.certified, one.reason) == (0.0, 0.0, None)
                np.testing.assert_array_equal(one.point, rows[number].astype(np.float32))
            elif least is not None:
                assert one.distance is not None
                assert one.distance >= least * 0.999


async def test_a_number_is_passed(load: Load) -> None:
    served, row = await load(bounded(REGRESSION)), REGRESSION.rows(1)
    value = REGRESSION.scores(row)[0, 0]
    one, point = only(await ask(served, row.tolist(), Change(at_least=value + 0.5)))
    assert REGRESSION.scores(point[None])[0, 0] >= value + 0.5
    assert one.certified == pytest.approx(one.distance, rel=0.01)
    there, point = only(await ask(served, row.tolist(), Change(at_most=value + 0.5)))
    assert there.distance == 0.0
    np.testing.assert_array_equal(point, row[0])


async def test_frozen_directed_and_whole_features_keep_to_that(load: Load) -> None:
    served, row = await load(CLASSIFIER), CLASSIFIER.rows(1)
    free, _ = only(await ask(served, row.tolist()))
    frozen, point = only(await ask(served, row.tolist(), Change(frozen=frozenset(["weight"]))))
    assert point[1] == row[0, 1]
    assert (frozen.distance or 0.0) > (free.distance or 0.0)
    for way, sign in (("increase", 1), ("decrease", -1)):
        (one,) = (await ask(served, row.tolist(), Change(monotone={"height": way, "weight": way}))).found  # type: ignore[dict-item]
        if one.point is not None:
            assert (sign * (one.point - row[0]) >= 0).all()
    whole, point = only(await ask(served, row.tolist(), Change(integer=frozenset(["height"]))))
    assert point[0] == row[0, 0] or point[0] == round(point[0])
    assert (whole.distance or 0.0) >= (free.distance or 0.0) * 0.999


async def test_few_features_change_where_that_is_asked_for(load: Load) -> None:
    served, rows = await load(IMAGE), IMAGE.rows(4)
    usual = await ask(served, rows.tolist())
    sparse = await ask(served, rows.tolist(), Change(sparse=True))
    fewer = 0
    for row, one, other in zip(rows, usual.found, sparse.found, strict=True):
        if one.point is None:
            continue
        assert other.point is not None
        assert other.distance is not None
        assert one.distance is not None
        before, after = (np.count_nonzero(part.point != row.astype(np.float32)) for part in (one, other))
        assert after <= before
        assert other.distance >= one.distance * 0.99
        fewer += after < before
        # None of them can be left out.
        label = int(IMAGE.scores(row[None]).argmax())
        point = other.point.astype(np.float64)
        assert IMAGE.scores(point[None]).argmax() != label
    assert fewer >= 2


async def test_levels_are_switched_where_numbers_cannot_do_it(load: Load) -> None:
    served, row = await load(LEVELS), [[1.0, "red", 0.0, "north"]]
    one, point = only(await ask(served, row))
    assert one.distance == 0.0
    np.testing.assert_array_equal(point, [1.0, 0, 1, 0, 0, 1, 0])  # the one switch that does it
    assert one.certified is None  # the toy has no bounds graph
    (none,) = (await ask(served, row, Change(frozen=frozenset(["colour"])))).found
    assert (none.point, none.distance, none.reason) == (None, None, "none_found")


async def test_several_levels_are_switched_where_one_is_not_enough(load: Load) -> None:
    toy = replace(LEVELS, weights=LEVELS.W * np.array([1, 1, 0.4, 1, 1, 1, 1.0]))
    one, point = only(await ask(await load(toy), [[1.0, "red", 0.0, "north"]]))
    np.testing.assert_array_equal(point[1:4], [0, 1, 0])
    np.testing.assert_array_equal(point[5:], [0, 1])
    assert one.distance == 0.0


async def test_a_switch_and_numbers_go_together(load: Load) -> None:
    toy = replace(LEVELS, weights=LEVELS.W * np.array([1, 1, 0.66, 1, 1, 0, 0.0]))
    one, point = only(await ask(await load(toy), [[1.9, "red", 0.0, "north"]]))
    np.testing.assert_array_equal(point[1:4], [0, 1, 0])
    assert (one.distance or 0.0) > 0
    assert toy.scores(point[None]).argmax() == 1


async def test_that_there_is_none_is_proved_where_it_can_be(load: Load) -> None:
    served, row = await load(bounded(REGRESSION)), REGRESSION.rows(1)
    (one,) = (await ask(served, row.tolist(), Change(at_least=1e6))).found
    assert (one.point, one.distance, one.reason) == (None, None, "impossible")
    assert one.certified == pytest.approx(
        max((10 + row[0, 0]) / 0.2, (10 - row[0, 0]) / 0.2, (10 + row[0, 1]) / 0.05, (10 - row[0, 1]) / 0.05)
    )
    (still,) = (await ask(await load(SILENT), SILENT.rows(1).tolist())).found
    assert (still.point, still.reason) == (None, "none_found")


async def test_an_answer_that_is_not_confirmed_is_none(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    served = await load(CLASSIFIER)
    monkeypatch.setattr(finding.Plan, "is_met", lambda self, scores, before: False)
    (one,) = (await ask(served, CLASSIFIER.rows(1).tolist())).found
    assert (one.point, one.distance, one.reason) == (None, None, "none_found")


@pytest.mark.parametrize("method", ["finite_difference", "monte_carlo"])
async def test_probed_models_are_searched_too(load: Load, method: Any) -> None:
    served, row = await load(probed(CLASSIFIER, method)), CLASSIFIER.rows(1)
    exact, _ = only(await ask(await load(CLASSIFIER), row.tolist()))
    one, point = only(await ask(served, row.tolist()))
    assert CLASSIFIER.scores(point[None]).argmax() != CLASSIFIER.scores(row).argmax()
    assert one.distance == pytest.approx(exact.distance, rel=0.05)
    assert one.certified is None


async def test_a_question_keeps_to_its_limits(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    served = await load(CLASSIFIER)
    with monkeypatch.context() as patched:
        patched.setattr(finding, "WIDEST", 1)
        with pytest.raises(TooLarge, match="at most 1 columns"):
            await ask(served, CLASSIFIER.rows(1).tolist())
    with pytest.raises(TooLarge, match="at most 8 rows"):
        await ask(served, [["no", "row"]] * 9)
    check_counterfactuals(served, 3, replace(ALLOWANCE, draws=3 * 33))
    with pytest.raises(TooLarge, match="further runs"):
        check_counterfactuals(served, 3, replace(ALLOWANCE, draws=3 * 33 - 1))
    with pytest.raises(InvalidInput):
        await ask(served, [["no", "row"]], Change(label="unknown"))
    assert served.statistics.executions == 0


async def test_a_search_ends_with_the_requests_time(load: Load) -> None:
    served = await load(CLASSIFIER)
    deadline = asyncio.get_running_loop().time() - 1.0
    with pytest.raises(DeadlineExceeded):
        await explain(served, Question(CLASSIFIER.rows(1).tolist(), counterfactual=Change()), ALLOWANCE, deadline)


async def test_a_cancelled_search_leaves_nothing_behind(load: Load) -> None:
    served = await load(CUBIC)
    task = asyncio.create_task(ask(served, CUBIC.rows(8).tolist()))
    while not served.statistics.executions:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert served.queue_depth == 0
    assert only(await ask(served, CUBIC.rows(1).tolist()))


async def test_nothing_is_observed(load: Load) -> None:
    served = await load(CLASSIFIER)
    await ask(served, CLASSIFIER.rows(2).tolist())
    await entered()
    assert served.window.samples == 0
