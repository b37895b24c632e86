"""Inference requests: the named outputs in their order, measured only where one of them needs it."""

import asyncio
from typing import Any

import numpy as np
import pytest

from chainzrule.service.errors import InvalidInput, NonFiniteOutput, TooLarge
from chainzrule.service.serving.infer import infer, require_outputs
from chainzrule.service.serving.question import Allowance
from chainzrule.service.serving.tensors import DECISION, FEATURES, UNMEASURED, tensors_of
from chainzrule.service.serving.version import ServedModel
from tests.artifacts import CLASSIFIER, CUBIC, REGRESSION, probed
from tests.service.serving.conftest import Load, entered

pytestmark = pytest.mark.anyio

DIFFERENCES = probed(CLASSIFIER, "finite_difference")


async def ask(
    served: ServedModel, rows: Any, *outputs: str, draws: int = 1000, noise_scale: float = 1.0, jacobians: int = 8
) -> list[Any]:
    allowance = Allowance(draws, measured_share=0.0, certificates=0, batch_rows=1024)
    values = {FEATURES: np.asarray(rows, np.float32)}
    deadline = asyncio.get_running_loop().time() + 30.0
    found = await infer(served, values, outputs, noise_scale, 0.9, True, allowance, jacobians, deadline)
    return [found.output(name, served.card) for name in outputs]


async def test_outputs_come_in_the_order_in_which_they_are_named(load: Load) -> None:
    served, rows = await load(CLASSIFIER), CLASSIFIER.rows(3)
    jacobian, label, scores, covariance = await ask(served, rows, "jacobian", "label", "scores", "covariance")
    np.testing.assert_allclose(jacobian, CLASSIFIER.jacobian(rows), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(scores, CLASSIFIER.scores(rows), atol=2e-5)
    np.testing.assert_allclose(covariance, CLASSIFIER.covariance(rows), rtol=1e-4, atol=1e-7)
    assert label == [CLASSIFIER.names[index] for index in CLASSIFIER.scores(rows).argmax(axis=1)]


async def test_requests_of_one_run_get_their_own_rows(load: Load) -> None:
    served, rows = await load(REGRESSION), REGRESSION.rows(3)
    found = await asyncio.gather(ask(served, rows[:1], "scores"), ask(served, rows[1:], "scores", "value"))
    assert served.statistics.executions == 1
    np.testing.assert_allclose(found[0][0], REGRESSION.scores(rows[:1]), atol=2e-5)
    np.testing.assert_allclose(found[1][1], REGRESSION.scores(rows[1:]), atol=2e-5)


async def test_what_needs_no_stability_takes_no_further_runs(load: Load) -> None:
    served = await load(DIFFERENCES)
    names = sorted(UNMEASURED & set(tensors_of(served.card).outputs) - {DECISION})  # which the service adds
    assert names == ["label", "probabilities", "scores", "set"]
    assert len(await ask(served, CLASSIFIER.rows(2), *names, draws=0)) == 4
    for name in sorted(set(tensors_of(served.card).outputs) - UNMEASURED):
        with pytest.raises(TooLarge, match="further runs") as caught:
            await ask(served, CLASSIFIER.rows(2), name, draws=0)
        assert caught.value.place == "inputs"
        (found,) = await ask(served, CLASSIFIER.rows(2), name)
        assert len(found) == 2


async def test_more_rows_than_jacobians_are_answered_are_refused(load: Load) -> None:
    served = await load(CLASSIFIER)
    assert len((await ask(served, CLASSIFIER.rows(8), "jacobian"))[0]) == 8
    with pytest.raises(TooLarge, match="at most 8 rows with the jacobian") as caught:
        await ask(served, CLASSIFIER.rows(9), "scores", "jacobian")
    assert caught.value.place == "inputs"
    assert len((await ask(served, CLASSIFIER.rows(9), "scores"))[0]) == 9


async def test_rows_are_measured_at_the_requests_noise_and_only_the_cards_is_traffic(load: Load) -> None:
    served, rows = await load(REGRESSION), REGRESSION.rows(2)
    (usual,), (doubled,) = await ask(served, rows, "volatility"), await ask(served, rows, "volatility", noise_scale=2.0)
    np.testing.assert_allclose(doubled, 2.0 * usual, rtol=1e-6)
    await entered()
    assert served.window.samples == 2


async def test_a_row_that_is_not_finite_is_named_as_the_protocol_does(load: Load) -> None:
    with pytest.raises(NonFiniteOutput) as caught:
        await ask(await load(CUBIC), [[0.0, 0.0], [1e20, 0.0]], "scores")
    assert caught.value.place == "inputs[1]"


def test_outputs_that_a_model_has_not_are_refused_by_those_that_it_has() -> None:
    tensors = tensors_of(REGRESSION.card())
    require_outputs(tensors, ["value", "jacobian"])
    for names in (["label"], ["value", "s3cret"]):
        with pytest.raises(InvalidInput, match="it has value, volatility") as caught:
            require_outputs(tensors, names)
        assert caught.value.place == "outputs"
        assert "s3cret" not in str(caught.value)
