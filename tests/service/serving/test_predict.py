"""Questions for predictions: which are measured, what is refused before it is run, and what counts as traffic."""

import asyncio
import random
import threading
from typing import Any

import numpy as np
import pytest

from chainzrule.service.errors import InvalidInput, NonFiniteOutput, QueueFull, TooLarge
from chainzrule.service.serving import predict as predicting
from chainzrule.service.serving.engine import Cost, Share
from chainzrule.service.serving.predict import predict, require_finite_derivatives
from chainzrule.service.serving.question import Allowance, Question
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.predictions import Measured
from chainzrule.service.stability.unmeasured import Unmeasured
from tests.artifacts import CLASSIFIER, CUBIC, MIXED, probed
from tests.service.serving.conftest import Load, entered

pytestmark = pytest.mark.anyio

DIFFERENCES = probed(CLASSIFIER, "finite_difference")
FURTHER = 4  # runs that measuring a row takes: two a column
NOTHING = Allowance(draws=0, measured_share=0.0, certificates=0, batch_rows=1024)
AMPLE = Allowance(draws=10**6, measured_share=0.0, certificates=0, batch_rows=1024)
ALWAYS = Allowance(draws=10**6, measured_share=1.0, certificates=0, batch_rows=1024)


async def ask(
    served: ServedModel, instances: Any, allowance: Allowance = AMPLE, seconds: float = 30.0, **question: Any
) -> Share[Measured] | Share[Unmeasured]:
    deadline = asyncio.get_running_loop().time() + seconds
    return await predict(served, Question(instances, **question), allowance, deadline)


async def test_what_measures_itself_is_always_measured(load: Load) -> None:
    share = await ask(await load(CLASSIFIER), CLASSIFIER.rows(2).tolist(), NOTHING, seconds=5.0)
    assert isinstance(share.result, Measured)
    np.testing.assert_allclose(share.result.scores, CLASSIFIER.scores(CLASSIFIER.rows(2)), atol=2e-5)


@pytest.mark.parametrize(
    ("allowance", "measure", "measured"),
    [(AMPLE, False, False), (AMPLE, True, True), (ALWAYS, False, True), (NOTHING, False, False)],
)
async def test_further_runs_are_made_on_request_and_for_a_share(
    load: Load, allowance: Allowance, measure: bool, measured: bool
) -> None:
    share = await ask(await load(DIFFERENCES), CLASSIFIER.rows(2).tolist(), allowance, measure=measure)
    assert isinstance(share.result, Measured if measured else Unmeasured)
    expected = CLASSIFIER.scores(CLASSIFIER.rows(2)).argmax(axis=1)
    assert share.result.label.tolist() == expected.tolist()


async def test_the_share_that_is_measured_is_the_allowances(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    served, rows = await load(DIFFERENCES), CLASSIFIER.rows(1).tolist()
    monkeypatch.setattr(predicting, "_random", random.Random(0))
    third = Allowance(draws=10**6, measured_share=0.3, certificates=0, batch_rows=1024)
    shares = [await ask(served, rows, third) for _ in range(300)]
    assert 60 <= sum(isinstance(share.result, Measured) for share in shares) <= 120


async def test_an_allowance_is_counted_in_further_rows(load: Load) -> None:
    served, rows = await load(DIFFERENCES), CLASSIFIER.rows(3).tolist()

    def allowing(draws: int) -> Allowance:
        return Allowance(draws, measured_share=1.0, certificates=0, batch_rows=1024)

    share = await ask(served, rows, allowing(3 * FURTHER), measure=True)
    assert isinstance(share.result, Measured)
    with pytest.raises(TooLarge, match=f"{FURTHER} further runs a row.*at most 2 rows") as caught:
        await ask(served, rows, allowing(3 * FURTHER - 1), measure=True)
    assert caught.value.place == "instances"
    # Unasked, the rows are answered without.
    assert isinstance((await ask(served, rows, allowing(3 * FURTHER - 1))).result, Unmeasured)


async def test_what_would_take_longer_than_the_time_left_is_not_measured(load: Load) -> None:
    served, rows = await load(DIFFERENCES), CLASSIFIER.rows(2).tolist()
    served.costs.predict = Cost(0.0, 15.0)
    with pytest.raises(TooLarge, match="longer than the request may") as caught:
        await ask(served, rows, ALWAYS, seconds=29.0, measure=True)
    assert caught.value.place == "instances"
    assert served.statistics.executions == 0
    assert isinstance((await ask(served, rows, ALWAYS, seconds=29.0)).result, Unmeasured)
    assert isinstance((await ask(served, rows, ALWAYS, seconds=60.0)).result, Measured)


async def test_the_first_row_that_is_not_finite_is_named_and_its_neighbours_stand(load: Load) -> None:
    served, good = await load(CUBIC), CUBIC.rows(1).tolist()
    bad, fine = await asyncio.gather(
        ask(served, [*good, [1e20, 0.0], [0.0, 1e20]]), ask(served, good), return_exceptions=True
    )
    assert isinstance(bad, NonFiniteOutput)
    assert bad.place == "instances[1]"
    assert isinstance(fine, Share)
    assert len(fine.result) == 4  # they shared a run
    np.testing.assert_allclose(fine.result.scores[fine.start], CUBIC.scores(CUBIC.rows(1))[0], atol=2e-5)


async def test_without_measures_too_a_row_that_is_not_finite_is_named(load: Load) -> None:
    served = await load(probed(CUBIC, "finite_difference"))
    with pytest.raises(NonFiniteOutput) as caught:
        await ask(served, [*CUBIC.rows(2).tolist(), [1e20, 0.0]])
    assert caught.value.place == "instances[2]"


async def test_derivatives_that_are_not_finite_are_refused() -> None:
    require_finite_derivatives(np.zeros((1, 2, 3), np.float32))
    with pytest.raises(NonFiniteOutput, match="derivatives are not finite") as caught:
        require_finite_derivatives(np.array([[1.0, np.nan]], np.float32), "inputs")
    assert caught.value.place == "inputs"


async def test_only_observed_rows_at_the_cards_noise_are_traffic(load: Load) -> None:
    served, rows = await load(CLASSIFIER), CLASSIFIER.rows(2).tolist()
    for question in ({"observe": False}, {"noise_scale": 2.0}):
        await ask(served, rows, **question)
        await entered()
        assert served.window.samples == 0
    await ask(served, rows)
    await entered()
    assert served.window.samples == 2


async def test_a_full_queue_refuses_before_any_row_is_read(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    served = await load(CLASSIFIER)
    with pytest.raises(InvalidInput):
        await ask(served, [["no number", 1.0]])

    def full(rows: int, measured: bool) -> None:
        raise QueueFull("too much work is waiting")

    monkeypatch.setattr(served, "require_room", full)
    with pytest.raises(QueueFull):
        await ask(served, [["no number", 1.0]])


@pytest.mark.parametrize(("most", "aside"), [(8, False), (7, True)])
async def test_many_values_are_read_beside_the_event_loop(
    load: Load, monkeypatch: pytest.MonkeyPatch, most: int, aside: bool
) -> None:
    served, threads = await load(MIXED), []
    encode = served.model.rows.encode

    def noted(instances: Any) -> np.ndarray:
        threads.append(threading.current_thread())
        return encode(instances)

    monkeypatch.setattr(served.model.rows, "encode", noted)
    monkeypatch.setattr(predicting, "LARGE_QUESTION", most)  # two rows of four features
    await ask(served, [[3.0, "red", 1.0, "north"]] * 2)
    assert [thread is not threading.current_thread() for thread in threads] == [aside]
