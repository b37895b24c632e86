import pytest
import torch

from chainzrule.training.nn.jacobian import hidden_weights
from chainzrule.training.nn.network import ChainzRuleNetwork
from chainzrule.training.penalties.dreg import Schedule, dreg


def test_a_layers_penalty_is_its_jacobians_mean_squared_norm() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, slope = torch.randn(5, 4, generator=generator), torch.randn(7, 5, generator=generator)
    jacobians = torch.diag_embed(slope) @ weight
    expected = jacobians.square().sum(dim=(1, 2)).mean() / 5
    torch.testing.assert_close(dreg([weight], [slope]), expected)
    torch.testing.assert_close(dreg([weight], [slope], [0.3]), 0.3 * expected)


def test_the_penalty_is_the_sum_over_hidden_layers_and_reaches_every_parameter_of_theirs() -> None:
    network = ChainzRuleNetwork(4, [6, 5], 3, 3, torch.Generator().manual_seed(0))
    slopes = network.propagate(torch.randn(8, 4, generator=torch.Generator().manual_seed(1))).slopes
    weights = hidden_weights(network)
    penalty = dreg(weights, slopes)
    torch.testing.assert_close(penalty, dreg(weights[:1], slopes[:1]) + dreg(weights[1:], slopes[1:]))
    penalty.backward()  # type: ignore[no-untyped-call]
    for layer in network.layers:
        assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in layer.parameters())
    assert network.output.weight.grad is None


@pytest.mark.parametrize(
    ("form", "expected"),
    [("constant", [0.2, 0.2, 0.2]), ("linear", [0.2, 0.15, 0.1]), ("cosine", [0.2, 0.15, 0.1])],
)
def test_schedules(form: str, expected: list[float]) -> None:
    schedule = Schedule(0.2, 0.1, form)  # type: ignore[arg-type]
    assert [schedule(progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx(expected)


def test_a_cosine_starts_and_ends_slowly() -> None:
    schedule = Schedule(0.0, 1.0, "cosine")
    assert schedule(0.1) < 0.1
    assert schedule(0.9) > 0.9
