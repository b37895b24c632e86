"""What runs take: each kind by itself, where it is a run of its own."""

from collections.abc import Callable
from typing import Any

import pytest

from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model
from chainzrule.service.runtime.selfcheck import golden_features
from chainzrule.service.serving import costs
from chainzrule.service.serving.costs import Costs
from chainzrule.service.serving.engine import Cost
from tests.artifacts import CLASSIFIER, Toy, probed
from tests.runs import runs_of

DRAWN = probed(CLASSIFIER, "monte_carlo", 2048)


def costs_of(toy: Toy) -> Costs:
    artifact = toy.artifact()
    model = Model(artifact.card, artifact.graphs, Execution("cpu", threads=1))
    return Costs(model, runs_of(toy), golden_features(artifact.card))


def test_derivatives_of_graphs_are_runs_of_their_own_and_measuring_is_none() -> None:
    found = costs_of(CLASSIFIER)
    assert found.answer is found.predict
    assert found.layer_norms is not None
    assert len({id(cost) for cost in (found.score, found.predict, found.differentiate, found.layer_norms)}) == 4
    for cost in (found.score, found.predict, found.differentiate, found.layer_norms):
        assert 0 < cost(1) <= cost(1000) < 10


def test_measuring_by_further_runs_costs_them() -> None:
    found = costs_of(DRAWN)
    assert found.predict(1) > 3 * found.answer(1)
    assert found.differentiate is found.predict
    assert found.layer_norms is None


@pytest.mark.parametrize(("toy", "kinds"), [(CLASSIFIER, 4), (DRAWN, 3)], ids=lambda one: getattr(one, "name", None))
def test_every_kind_is_run_on_as_many_golden_rows_as_asked(
    toy: Toy, kinds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []

    def measured(run: Callable[[int], object], rows: int = 64, repeats: int = 5) -> Cost:
        found.append(run(9))  # more than there are golden rows
        return Cost(1.0, 1.0)

    monkeypatch.setattr(costs, "measure_cost", measured)
    costs_of(toy)
    rows = [len(result.label) if hasattr(result, "label") else len(result) for result in found]
    assert rows == [9] * kinds
