"""What is to be changed, in a model's terms; what does not fit the model is refused where it stands."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.artifact.features import DateSource
from chainzrule.service.errors import InvalidInput
from chainzrule.service.serving.plan import make_plan
from chainzrule.service.serving.question import Change
from tests.artifacts import CLASSIFIER, IMAGE, MIXED, ORDINAL, REGRESSION, Toy, numeric
from tests.service.serving.conftest import Load

pytestmark = pytest.mark.anyio


async def test_all_that_has_noise_may_move_within_its_range(load: Load) -> None:
    plan = make_plan(await load(MIXED), Change(), 2.0)
    np.testing.assert_allclose(plan.unit, [0.4, 0, 0, 0, 0, 0, 0])  # the dose has no noise
    domain = plan.domain(np.array([12.0, 1, 0, 0, 0.5, 0, 1], np.float32))
    np.testing.assert_array_equal(domain.low, [[-10.0, 1, 0, 0, 0.5, 0, 1]])
    np.testing.assert_array_equal(domain.high, [[12.0, 1, 0, 0, 0.5, 0, 1]])  # beyond the range, but no further
    assert plan.categories == ((1, 3), (5, 2))
    assert (plan.target, plan.sparse) == (None, False)


async def test_features_can_be_frozen_directed_and_whole(load: Load) -> None:
    change = Change(
        frozen=frozenset(["colour"]), monotone={"age": "decrease"}, integer=frozenset(["age", "dose"]), sparse=True
    )
    plan = make_plan(await load(MIXED), change, 1.0)
    domain = plan.domain(np.array([1.0, 1, 0, 0, 0.5, 0, 1], np.float32))
    assert (domain.low[0, 0], domain.high[0, 0]) == (-10.0, 1.0)
    np.testing.assert_array_equal(np.flatnonzero(domain.whole[0]), [0, 4])
    assert plan.categories == ((5, 2),)
    assert plan.sparse
    up = make_plan(await load(MIXED), Change(monotone={"age": "increase"}), 1.0)
    domain = up.domain(np.array([1.0, 1, 0, 0, 0.5, 0, 1], np.float32))
    assert (domain.low[0, 0], domain.high[0, 0]) == (1.0, 10.0)
    frozen = make_plan(await load(CLASSIFIER), Change(frozen=frozenset(["height"])), 1.0)
    np.testing.assert_allclose(frozen.unit, [0.0, 0.05])


async def test_parts_of_dates_are_whole(load: Load) -> None:
    dated = numeric("year", date=DateSource(column="when", format="iso", part="year"))
    plan = make_plan(await load(replace(CLASSIFIER, features=(dated, numeric("weight")))), Change(), 1.0)
    np.testing.assert_array_equal(plan.whole, [True, False])


async def test_a_gap_does_not_move(load: Load) -> None:
    domain = make_plan(await load(CLASSIFIER), Change(), 1.0).domain(np.array([np.nan, 1.0], np.float32))
    assert domain.furthest()[0] == pytest.approx(11.0 / 0.05)


async def test_what_is_wanted_is_met_by_answers(load: Load) -> None:
    before, same, other = np.array([3.0, 1.0, 0.0]), np.array([2.0, 1.0, 0.0]), np.array([1.0, 3.0, 0.0])
    some = make_plan(await load(CLASSIFIER), Change(), 1.0)
    assert not some.is_met(same, before)
    assert some.is_met(other, before)
    one = make_plan(await load(CLASSIFIER), Change(label="maybe"), 1.0)
    assert one.target == 2
    assert not one.is_met(other, before)
    assert one.is_met(np.array([0.0, 1.0, 2.0]), before)
    least = make_plan(await load(REGRESSION), Change(at_least=2.0), 1.0)
    assert [least.is_met(np.array([value]), before) for value in (1.9, 2.0, 2.1)] == [False, True, True]
    most = make_plan(await load(REGRESSION), Change(at_most=0.0), 1.0)
    assert [most.is_met(np.array([value]), before) for value in (0.1, 0.0, -0.1)] == [False, True, True]


@pytest.mark.parametrize(
    ("toy", "change", "place", "says"),
    [
        (CLASSIFIER, Change(frozen=frozenset(["hight"])), "counterfactual.frozen", "did you mean height"),
        (CLASSIFIER, Change(monotone={"other": "increase"}), "counterfactual.monotone", "no feature"),
        (CLASSIFIER, Change(integer=frozenset(["other"])), "counterfactual.integer", "no feature"),
        (MIXED, Change(integer=frozenset(["site"])), "counterfactual.integer.site", "has levels"),
        (MIXED, Change(monotone={"colour": "increase"}), "counterfactual.monotone.colour", "has levels"),
        (IMAGE, Change(frozen=frozenset(["pixel"])), "counterfactual.frozen", "did you mean pixel_"),
        (CLASSIFIER, Change(label="maybee"), "counterfactual.label", "did you mean maybe"),
        (REGRESSION, Change(at_least=1.0, label="no"), "counterfactual.label", "no label"),
        (CLASSIFIER, Change(at_least=1.0), "counterfactual", "give a label"),
        (ORDINAL, Change(at_most=1.0), "counterfactual", "give a label"),
        (REGRESSION, Change(), "counterfactual", "at_least or at_most"),
    ],
)
async def test_what_does_not_fit_the_model_is_refused(
    load: Load, toy: Toy, change: Change, place: str, says: str
) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        make_plan(await load(toy), change, 1.0)
    assert caught.value.place == place


async def test_zero_is_a_number_to_reach(load: Load) -> None:
    plan = make_plan(await load(REGRESSION), Change(at_most=0.0), 1.0)
    assert (plan.goal.limit, plan.goal.rises) == (0.0, False)


async def test_no_smallest_change_is_looked_for_where_sigmas_have_no_one_size(load: Load) -> None:
    features = (numeric("height", noise_share=0.1), CLASSIFIER.features[1])
    served = await load(replace(CLASSIFIER, name="share", features=features))
    with pytest.raises(InvalidInput, match="a share of their value") as refused:
        make_plan(served, Change(), 1.0)
    assert refused.value.place == "counterfactual"
