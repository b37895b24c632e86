"""Derivatives for the plots, against autograd."""

import numpy as np
import pytest
import torch
from torch import nn

from chainzrule.training.fairfight.measure import gradient_norms
from chainzrule.training.fairfight.portrait import LAYER_ROWS, layer_norms, portrait
from chainzrule.training.fairfight.rivals import NeuralOde, perceptron
from chainzrule.training.nn.network import ChainzRuleNetwork, ReluNetwork
from tests.training.fairfight.problems import drawn

X = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("polynomial", [True, False])
def test_every_hidden_layers_derivative_is_autograds(polynomial: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    network = ChainzRuleNetwork(4, (6, 5), 2, 3, generator) if polynomial else ReluNetwork(4, (6, 5), 2, generator)
    network.requires_grad_(False)

    def after(count: int, row: torch.Tensor) -> torch.Tensor:
        h = row[None]
        for layer in list(network.layers)[:count]:
            h, _ = layer(h)
        return h[0]

    expected = []
    for count in (1, 2):
        jacobians = torch.func.vmap(torch.func.jacrev(lambda row, count=count: after(count, row)))(X)
        expected.append(float(jacobians.flatten(1).norm(dim=1).mean()))
    assert layer_norms(network, X) == pytest.approx(expected, rel=1e-5)


def test_a_perceptrons_layers_end_behind_their_activations() -> None:
    torch.manual_seed(2)
    network = perceptron(4, (6, 5), 2, nn.GELU).requires_grad_(False)
    found = layer_norms(network, X)
    jacobian = torch.func.vmap(torch.func.jacrev(network[:2]))(X)
    assert len(found) == 2
    assert found[0] == pytest.approx(float(jacobian.flatten(1).norm(dim=1).mean()))


def test_layers_are_known_of_chains_alone() -> None:
    assert layer_norms(NeuralOde(4, 3, 5, 2).requires_grad_(False), X) == []


def test_a_portrait_is_of_the_test_rows() -> None:
    problem = drawn("classification", rows=1000)
    network = ChainzRuleNetwork(4, (6,), 2, 3, torch.Generator().manual_seed(1)).requires_grad_(False)
    found = portrait(network, problem)
    g, _ = gradient_norms(network, problem.test[0], problem.link)
    assert len(found["gradient_quantiles"]) == 1001
    np.testing.assert_allclose(np.array(found["gradient_quantiles"])[[0, 500, 1000]], np.quantile(g, [0, 0.5, 1]))
    assert found["layer_norms"] == layer_norms(network, problem.test[0][:LAYER_ROWS])
