"""What a step lowers: the loss alone, or the loss and the penalty from one forward pass."""

import pytest
import torch
from torch import Tensor

from chainzrule.training.fitting.losses import task_loss
from chainzrule.training.fitting.objective import derivative_controlled, plain
from chainzrule.training.nn.network import ChainzRuleNetwork, Propagation
from chainzrule.training.penalties.dreg import Schedule
from chainzrule.training.penalties.penalty import Penalty

LOSS = task_loss("classification")

X = torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
Y = torch.arange(9) % 3
WEIGHTS = torch.linspace(0.2, 1.8, 9)
SCHEDULE = Schedule(0.5, 0.1, "linear")


@pytest.fixture
def network() -> ChainzRuleNetwork:
    return ChainzRuleNetwork(4, (6, 5), 3, 3, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_without_a_penalty_it_is_the_loss(network: ChainzRuleNetwork, weights: Tensor | None) -> None:
    expected = LOSS(network(X), Y, weights)
    given = () if weights is None else (weights,)
    torch.testing.assert_close(plain(network, LOSS)(X, Y, 0.5, *given), expected)
    torch.testing.assert_close(derivative_controlled(network, LOSS, None)(X, Y, 0.5, *given), expected)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("penalty", [SCHEDULE, Penalty(SCHEDULE, "accumulated", fisher=0.7, seed=3)])
def test_loss_and_penalty_come_from_one_forward_pass(
    network: ChainzRuleNetwork, penalty: Penalty | Schedule, weights: Tensor | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = network.propagate(X)
    whole = Penalty(penalty) if isinstance(penalty, Schedule) else penalty
    passes: list[Propagation] = []
    propagate = network.propagate
    monkeypatch.setattr(network, "propagate", lambda x: passes.append(propagate(x)) or passes[-1])
    given = () if weights is None else (weights,)
    for progress in (0.0, 0.25, 1.0):
        expected = LOSS(passed.scores, Y, weights) + whole(network, passed, progress, weights)
        found = derivative_controlled(network, LOSS, penalty)(X, Y, progress, *given)
        torch.testing.assert_close(found, expected)
    assert len(passes) == 3
