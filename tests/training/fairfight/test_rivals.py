"""The rivals' networks, against what their papers say of them."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from torch import nn

from chainzrule.training.fairfight.rivals import (
    NeuralOde,
    SplineLayer,
    kolmogorov_arnold,
    perceptron,
    spectrally_normalised,
)
from chainzrule.training.nn.ordinal import CumulativeLogits


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_a_perceptrons_signal_keeps_its_size() -> None:
    network = perceptron(64, (256, 256), 5, nn.ReLU)
    assert [type(module).__name__ for module in network] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    x = torch.randn(2000, 64)
    with torch.no_grad():
        assert float(network[0](x).square().mean()) == pytest.approx(1.0, rel=0.1)
        assert float(network[:3](x).square().mean()) == pytest.approx(1.0, rel=0.1)
        assert float(network(x).square().mean()) == pytest.approx(1.0, rel=0.3)
    assert all(not bool(module.bias.any()) for module in network if isinstance(module, nn.Linear))
    ordered = perceptron(64, (8,), 4, nn.ReLU, CumulativeLogits)
    assert ordered(x[:3]).shape == (3, 4)


def test_hidden_layers_have_the_norm_one_and_the_last_is_free() -> None:
    network = spectrally_normalised(perceptron(10, (20, 20), 3, nn.ReLU))
    with torch.no_grad():
        network[-1].weight.mul_(50.0)
    for _ in range(60):  # power iteration, a step a pass
        network(torch.randn(4, 10))
    norms = [float(torch.linalg.matrix_norm(module.weight.detach(), 2)) for module in network[::2]]
    assert norms[:2] == pytest.approx([1.0, 1.0], rel=1e-3)
    assert norms[2] > 5.0


def test_splines_are_cubic_b_splines_on_an_even_grid() -> None:
    layer = SplineLayer(2, 3, intervals=5, reach=2.5)
    assert layer.coefficients.shape == (3, 2 * 8)
    x = torch.linspace(-2.4, 2.4, 50)[:, None].repeat(1, 2)
    knots = np.arange(-3, 9) - 2.5
    basis = np.stack([BSpline.basis_element(knots[i : i + 5], extrapolate=False)(x[:, 0].numpy()) for i in range(8)], 1)
    found = layer._basis(x)
    np.testing.assert_allclose(found[:, 0].numpy(), np.nan_to_num(basis), atol=1e-5)
    torch.testing.assert_close(found.sum(dim=2), torch.ones(50, 2))
    with torch.no_grad():
        expected = layer.linear(nn.functional.silu(x)) + torch.cat([found[:, 0], found[:, 1]], 1) @ layer.coefficients.T
    torch.testing.assert_close(layer(x).detach(), expected)


def test_a_kolmogorov_arnold_network_of_ordered_levels_ends_in_thresholds() -> None:
    x = torch.randn(5, 4)
    assert kolmogorov_arnold(4, (3,), 2)(x).shape == (5, 2)
    ordered = kolmogorov_arnold(4, (3,), 6, CumulativeLogits)
    scores = ordered(x)
    assert scores.shape == (5, 6)
    torch.testing.assert_close((scores[:1] - scores).std(dim=1), torch.zeros(5), atol=1e-5, rtol=0)  # one f, less b_k
    assert ordered[-1].linear.weight.detach().tolist() == [[1.0]]


def test_an_ode_is_integrated_from_0_to_1() -> None:
    network = NeuralOde(3, 4, 8, 2)
    with torch.no_grad():  # dh/dt = tanh(0.1 h), which has a closed form: sinh(0.1 h(t)) = exp(0.1 t) sinh(0.1 h(0))
        network.field[0] = nn.Linear(4, 4, bias=False)
        network.field[2] = nn.Linear(4, 4, bias=False)
        network.field[0].weight.copy_(0.1 * torch.eye(4))
        network.field[2].weight.copy_(torch.eye(4))
        start = network.encoder(torch.randn(6, 3, generator=torch.Generator().manual_seed(1)))
        expected = network.decoder(torch.asinh(torch.exp(torch.tensor(0.1)) * torch.sinh(0.1 * start)) / 0.1)
        found = network(torch.randn(6, 3, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
