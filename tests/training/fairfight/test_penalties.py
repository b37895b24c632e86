"""The rivals' penalties, against the Jacobian."""

import pytest
import torch

from chainzrule.training.fairfight.penalties import input_gradient_penalty, jacobian_penalty
from chainzrule.training.fitting.losses import task_loss

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(6) % 3
LOSS = task_loss("classification")


@pytest.fixture
def network() -> torch.nn.Sequential:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)).double()


def test_the_input_gradient_is_that_of_each_rows_own_loss(network: torch.nn.Sequential) -> None:
    gradients = [
        torch.func.jacrev(lambda row, y=y: LOSS(network(row[None]), y[None]))(x) for x, y in zip(X, Y, strict=True)
    ]
    expected = LOSS(network(X), Y) + 0.7 * torch.stack(gradients).square().sum(dim=1).mean()
    found = input_gradient_penalty(network, LOSS, 0.7)(X, Y, 0.5)
    torch.testing.assert_close(found, expected)
    found.backward()
    assert all(bool(parameter.grad.abs().sum() > 0) for parameter in network.parameters())
    assert not X.requires_grad


def test_the_jacobians_norm_is_right_on_average(network: torch.nn.Sequential) -> None:
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: network(row[None])[0]))(X)
    expected = LOSS(network(X), Y) + 0.35 * jacobian.square().sum(dim=(1, 2)).mean()
    torch.manual_seed(2)
    objective = jacobian_penalty(network, LOSS, 0.7)
    draws = [float(objective(X, Y, 0.5).detach()) for _ in range(1500)]
    assert sum(draws) / len(draws) == pytest.approx(float(expected.detach()), rel=0.02)
    assert max(draws) > min(draws)


def test_of_one_score_the_jacobians_norm_is_exact() -> None:
    torch.manual_seed(3)
    network = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)).double()
    y = torch.zeros(6, dtype=torch.float64)
    loss = task_loss("regression")
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: network(row[None])[0]))(X)
    expected = loss(network(X), y) + 0.35 * jacobian.square().sum(dim=(1, 2)).mean()
    found = jacobian_penalty(network, loss, 0.7)(X, y, 0.5)
    torch.testing.assert_close(found, expected)
    found.backward()
    assert bool(network[0].weight.grad.abs().sum() > 0)
