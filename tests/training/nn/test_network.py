import pytest
import torch
from sklearn.datasets import load_digits

from chainzrule.training.config import FitConfig
from chainzrule.training.fitting.loop import fit
from chainzrule.training.fitting.losses import task_loss
from chainzrule.training.fitting.objective import derivative_controlled
from chainzrule.training.nn.network import DEEP_SPREAD, ChainzRuleNetwork, ReluNetwork
from chainzrule.training.penalties.dreg import Schedule

CROSS_ENTROPY = task_loss("classification")


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
            assert 0.6 < float(z.square().mean()) / DEEP_SPREAD**2 < 1.6
            x, _ = layer(x)


@pytest.mark.parametrize("depth", [1, 3, 6])
@pytest.mark.parametrize("degree", range(1, 6))
def test_every_degree_trains_at_every_depth_with_and_without_the_penalty(degree: int, depth: int) -> None:
    pixels, digits = load_digits(return_X_y=True)
    x, y = torch.from_numpy((pixels - pixels.mean()) / pixels.std()).float(), torch.from_numpy(digits)
    config = FitConfig(epochs=6, batch=64, validation=0)
    for penalty in (None, Schedule(0.1, 0.1)):
        start = ChainzRuleNetwork(64, [32] * depth, 10, degree, torch.Generator().manual_seed(0))
        objective = derivative_controlled(start, CROSS_ENTROPY, penalty)
        report = fit(start, CROSS_ENTROPY, (x[:1400], y[:1400]), None, config, objective, seed=0)
        assert max(report.losses[1:]) < report.losses[0]
        assert report.losses[-1] < 0.5 * report.losses[0]
        with torch.no_grad():
            scores = start(x[1400:])
        assert bool(scores.isfinite().all())
        assert float((scores.argmax(1) == y[1400:]).float().mean()) > 0.8


def test_relu_keeps_the_signals_size_too() -> None:
    x = torch.randn(2000, 64, generator=torch.Generator().manual_seed(1))
    start = ReluNetwork(64, [64] * 4, 4, torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert 0.3 < float(start(x).square().mean()) < 3
