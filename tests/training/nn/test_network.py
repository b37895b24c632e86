import pytest
import torch

from training.config import FitConfig
from training.dreg import Schedule
from training.fit import fit
from training.losses import regression
from training.nn.network import SPREAD, ChainzRuleNetwork, ReluNetwork


def network(hidden: tuple[int, ...], degree: int = 3, seed: int = 0) -> ChainzRuleNetwork:
    return ChainzRuleNetwork(10, hidden, 3, degree, torch.Generator().manual_seed(seed))


def test_parameters_are_counted() -> None:
    assert network((8, 6)).parameter_count == (10 + 1) * 8 + (8 + 1) * 6 + (6 + 1) * 3 + 4 * (8 + 6)


def test_the_seed_decides_the_start() -> None:
    first, again, other = network((8,)).state_dict(), network((8,)).state_dict(), network((8,), seed=1).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["output.weight"], other["output.weight"])


@pytest.mark.parametrize("degree", range(1, 6))
def test_the_signal_keeps_its_size_to_depth_six(degree: int) -> None:
    x = torch.randn(2000, 64, generator=torch.Generator().manual_seed(1))
    start = ChainzRuleNetwork(64, [64] * 6, 4, degree, torch.Generator().manual_seed(2))
    with torch.no_grad():
        for layer in start.layers:
            z = layer.linear(x)
            assert 0.6 < float(z.square().mean()) / SPREAD**2 < 1.6
            x, _ = layer(x)


@pytest.mark.parametrize("degree", [2, 3, 5])
def test_a_deep_network_trains(degree: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(600, 5, generator=generator)
    x[0] = 3.0  # an outlier in every direction at once
    y = torch.sin(x[:, 0]) + 0.5 * x[:, 1]
    start = ChainzRuleNetwork(5, [16] * 6, 1, degree, generator)
    config = FitConfig(epochs=12, batch=32, validation=0)
    report = fit(start, regression, (x, y), None, config, Schedule(0.01, 0.01), seed=0)
    assert report.losses[-1] < 0.5 * float(y.var())


def test_relu_keeps_the_signals_size_too() -> None:
    x = torch.randn(2000, 64, generator=torch.Generator().manual_seed(1))
    start = ReluNetwork(64, [64] * 4, 4, torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert 0.3 < float(start(x).square().mean()) < 3
