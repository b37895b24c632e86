"""Rows that the closed form does not measure: drawn within the limits, else not measurable."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chainzrule.service.artifact.noise import NoiseModel
from chainzrule.service.errors import TooLarge
from chainzrule.service.serving.predict import predict
from chainzrule.service.serving.question import Allowance, Question
from chainzrule.service.serving.redraw import redraw
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.predictions import Measured
from chainzrule.service.stability.redrawn import DRAWS
from tests.artifacts import CLASSIFIER, REGRESSION, Toy
from tests.service.serving.conftest import Load, entered

pytestmark = pytest.mark.anyio

HEAVY = replace(CLASSIFIER, name="heavy", changes={"noise": NoiseModel(law="t", degrees_of_freedom=3.0)})


async def ask(served: ServedModel, toy: Toy, rows: int, draws: int = 100_000, **question: Any) -> Measured:
    deadline = asyncio.get_running_loop().time() + 30
    asked = Question(toy.rows(rows).tolist(), **question)
    share = await predict(served, asked, Allowance(draws, 0.1, 32, 256), deadline)
    assert isinstance(share.result, Measured)
    assert (share.start, share.stop) == (0, rows)
    return share.result


async def test_rows_are_drawn_as_far_as_the_limits_go_and_counted_by_their_verdict(load: Load) -> None:
    served = await load(HEAVY)
    found = await ask(served, HEAVY, 5, draws=3 * DRAWS + 1)
    assert found.unsound is not None
    assert found.unsound.tolist() == [False] * 3 + [True] * 2
    assert (found.diagnosis.volatility[:3] > 0).all()
    await entered()
    summary = served.window.summary()
    assert summary.samples == 3


async def test_the_same_row_has_the_same_answer_whatever_it_comes_with(load: Load) -> None:
    served = await load(HEAVY)
    three, one = await ask(served, HEAVY, 3), await ask(served, HEAVY, 1)
    assert three.diagnosis.volatility[0] == one.diagnosis.volatility[0]
    assert three.diagnosis.flip_probability[0] == one.diagnosis.flip_probability[0]


async def test_a_noise_of_the_requests_own_is_drawn_and_not_observed(load: Load) -> None:
    served = await load(CLASSIFIER)
    usual = await ask(served, CLASSIFIER, 4, observe=False)
    same = await ask(served, CLASSIFIER, 4, noise={"height": 0.2, "weight": 0.05})
    np.testing.assert_allclose(same.diagnosis.flip_probability, usual.diagnosis.flip_probability, atol=0.05)
    np.testing.assert_allclose(same.diagnosis.volatility, usual.diagnosis.volatility, rtol=0.15)
    still = await ask(served, CLASSIFIER, 4, noise={"height": 0.0, "weight": 0.0})
    assert still.diagnosis.volatility.tolist() == [0.0] * 4
    await entered()
    assert served.window.samples == 0


async def test_a_noise_of_its_own_is_refused_for_more_rows_than_may_be_drawn(load: Load) -> None:
    served = await load(CLASSIFIER)
    with pytest.raises(TooLarge, match="at most 2 rows"):
        await ask(served, CLASSIFIER, 3, draws=2 * DRAWS, noise={"height": 1.0})
    with pytest.raises(TooLarge, match="more time"):
        await ask(served, CLASSIFIER, 3, draws=DRAWS - 1, noise={"height": 1.0})


async def test_draws_end_when_their_share_of_the_time_is_over(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    served = await load(HEAVY)
    sample = served.sample

    async def slow(features: np.ndarray, deadline: float) -> np.ndarray:
        await asyncio.sleep(0.1)
        return await sample(features, deadline)

    monkeypatch.setattr(served, "sample", slow)
    features, loop = HEAVY.rows(20).astype(np.float32), asyncio.get_running_loop()
    share = await served.predict(inputs_of(features, 1.0, True), loop.time() + 30)
    found = await redraw(served, features, share, Allowance(10**6, 0.1, 32, 256), loop.time() + 2)
    assert found.result.unsound is not None
    assert 1 <= (~found.result.unsound).sum() < 20


async def test_intervals_are_those_of_the_card_whatever_the_noise(load: Load) -> None:
    served = await load(REGRESSION)
    usual = await ask(served, REGRESSION, 4, observe=False)
    still = await ask(served, REGRESSION, 4, noise={feature.name: 0.0 for feature in REGRESSION.features})
    assert usual.intervals is not None
    assert still.intervals is not None
    np.testing.assert_array_equal(np.stack(still.intervals), np.stack(usual.intervals))


async def test_nothing_is_drawn_where_the_closed_form_holds(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    served = await load(CLASSIFIER)

    async def never(*arguments: Any) -> None:
        raise AssertionError("nothing was to be drawn")

    monkeypatch.setattr(served, "sample", never)
    found = await ask(served, CLASSIFIER, 4)
    assert found.unsound is None


async def test_no_time_left_means_not_measurable_rather_than_late(load: Load) -> None:
    served = await load(HEAVY)
    loop = asyncio.get_running_loop()
    features = HEAVY.rows(2).astype(np.float32)
    share = await served.predict(inputs_of(features, 1.0, True), loop.time() + 30)
    late = await redraw(served, features, share, Allowance(10**6, 0.1, 32, 256), loop.time())
    assert late.result.unsound is not None
    assert late.result.unsound.all()
