from dataclasses import replace

import pytest
import torch

from chainzrule.training.fitting.losses import task_loss
from chainzrule.training.fitting.objective import derivative_controlled
from chainzrule.training.nn.jacobian import hidden_weights, input_jacobian
from chainzrule.training.nn.network import ChainzRuleNetwork, Network, Propagation
from chainzrule.training.nn.ordinal import CumulativeLogits
from chainzrule.training.penalties.config import DregConfig
from chainzrule.training.penalties.dreg import Schedule, dreg
from chainzrule.training.penalties.penalty import Derivative, Penalty

CONSTANT = Schedule(0.5, 0.5)
CROSS_ENTROPY = task_loss("classification")


def build(hidden: tuple[int, ...] = (6, 5, 7), output: type = torch.nn.Linear) -> tuple[Network, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    network = ChainzRuleNetwork(4, hidden, 3, 3, generator, output).double()
    return network, torch.randn(8, 4, generator=generator, dtype=torch.float64)


def terms(penalty: Penalty, network: Network, passed: Propagation) -> list[torch.Tensor]:
    """Each layer's term by itself, without lambda: the penalty with a factor for that layer only."""
    count = len(passed.slopes) + penalty.output
    alone = [tuple(float(number == chosen) for number in range(count)) for chosen in range(count)]
    penalties = [replace(penalty, factors=factors) for factors in alone]
    return [each(network, passed, 0.0) / penalty.schedule(0.0) for each in penalties]


def accumulated_by_autograd(network: Network, x: torch.Tensor) -> list[float]:
    """||d h_l / d x||_F^2 / width, mean over the rows, for each hidden layer."""

    def after(count: int, row: torch.Tensor) -> torch.Tensor:
        h = row[None]
        for layer in list(network.layers)[:count]:
            h, _ = layer(h)
        return h[0]

    found = []
    for count in range(1, len(network.hidden) + 1):
        jacobian = torch.stack([torch.func.jacrev(lambda row, count=count: after(count, row))(row) for row in x])
        found.append(jacobian.square().sum().item() / len(x) / jacobian.shape[1])
    return found


def test_a_schedule_means_the_per_layer_form() -> None:
    network, x = build()
    passed = network.propagate(x)
    expected = 0.5 * dreg(hidden_weights(network), passed.slopes)
    torch.testing.assert_close(Penalty(CONSTANT)(network, passed, 0.0), expected)
    y = torch.zeros(len(x), dtype=torch.int64)
    objective = derivative_controlled(network, CROSS_ENTROPY, CONSTANT)
    torch.testing.assert_close(objective(x, y, 0.0), CROSS_ENTROPY(network(x), y) + expected)


def test_accumulated_terms_are_the_products_norms() -> None:
    network, x = build()
    penalty = Penalty(CONSTANT, "accumulated", output=True, exact_width=16)
    found = terms(penalty, network, network.propagate(x))
    output = input_jacobian(network, x).square().sum().item() / len(x) / 3
    assert [term.item() for term in found] == pytest.approx([*accumulated_by_autograd(network, x), output])


def test_projections_estimate_the_same_without_bias() -> None:
    network, x = build()
    passed = network.propagate(x)
    exact = terms(Penalty(CONSTANT, "accumulated", output=True, exact_width=16), network, passed)
    estimate = terms(Penalty(CONSTANT, "accumulated", output=True, exact_width=0, projections=20_000), network, passed)
    for found, expected in zip(estimate, exact, strict=True):
        # 160,000 draws of a square: their mean's standard error is under 1%.
        assert found.item() == pytest.approx(expected.item(), rel=0.04)


def test_only_wide_layers_are_estimated() -> None:
    network, x = build((6, 30, 5))
    passed = network.propagate(x)
    exact = accumulated_by_autograd(network, x)
    found = terms(Penalty(CONSTANT, "accumulated", exact_width=8), network, passed)
    close = [term.item() == pytest.approx(expected) for term, expected in zip(found, exact, strict=True)]
    assert close == [True, False, True]


@pytest.mark.parametrize(
    "drawing", [Penalty(CONSTANT, "accumulated", exact_width=0), Penalty(CONSTANT, fisher=1, exact_answers=0)]
)
def test_draws_follow_seed_and_progress(drawing: Penalty) -> None:
    network, x = build()
    passed = network.propagate(x)

    def value(seed: int, progress: float) -> float:
        penalty = replace(drawing, seed=seed)
        return penalty(network, passed, progress).item()

    assert value(1, 0.5) == value(1, 0.5)
    assert len({value(1, 0.5), value(2, 0.5), value(1, 0.25)}) == 3


@pytest.mark.parametrize("derivative", ["layer", "accumulated"])
def test_the_output_layer_counts_where_asked(derivative: Derivative) -> None:
    network, x = build()
    passed = network.propagate(x)
    torch.autograd.backward(Penalty(CONSTANT, derivative)(network, passed, 0.0), retain_graph=True)
    assert network.output.weight.grad is None
    torch.autograd.backward(Penalty(CONSTANT, derivative, output=True)(network, passed, 0.0))
    assert network.output.weight.grad is not None
    assert network.output.weight.grad.abs().sum().item() > 0


def test_the_output_of_ordered_levels_is_one_row() -> None:
    network, x = build(output=CumulativeLogits)
    passed = network.propagate(x)
    layer, accumulated = (
        terms(Penalty(CONSTANT, derivative, output=True), network, passed)[-1]
        for derivative in ("layer", "accumulated")
    )
    torch.testing.assert_close(layer, network.output.weight.square().sum())
    jacobian = input_jacobian(network, x)
    torch.testing.assert_close(accumulated, jacobian[:, 0].square().sum(1).mean())


def test_layers_have_their_own_factors() -> None:
    network, x = build()
    passed = network.propagate(x)
    alone = terms(Penalty(CONSTANT), network, passed)
    expected = 0.5 * (2 * alone[0] + 0 * alone[1] + alone[2])
    torch.testing.assert_close(Penalty(CONSTANT, factors=(2, 0, 1))(network, passed, 0.0), expected)


def test_the_networks_jacobian_alone() -> None:
    network, x = build()
    penalty = Penalty(CONSTANT, "accumulated", output=True, factors=(0, 0, 0, 2), exact_width=3)
    expected = 0.5 * 2 * input_jacobian(network, x).square().sum() / len(x) / 3
    torch.testing.assert_close(penalty(network, network.propagate(x), 0.0), expected)


@pytest.mark.parametrize("derivative", ["layer", "accumulated"])
def test_a_rows_weight_is_its_repetition(derivative: Derivative) -> None:
    network, x = build()
    penalty = Penalty(
        CONSTANT, derivative, output=True, exact_width=16, fisher=2
    )  # every row would draw its own directions
    counts = torch.tensor([1, 3, 0, 2, 1, 1, 0, 4])
    repeated = penalty(network, network.propagate(x.repeat_interleave(counts, 0)), 0.0)
    weights = counts.double() / counts.double().mean()
    torch.testing.assert_close(penalty(network, network.propagate(x), 0.0, weights), repeated)


@pytest.mark.parametrize("exact_width", [0, 16])
def test_the_accumulated_penalty_reaches_every_parameter_of_the_hidden_layers(exact_width: int) -> None:
    network, x = build()
    penalty = Penalty(CONSTANT, "accumulated", exact_width=exact_width)
    torch.autograd.backward(penalty(network, network.propagate(x), 0.0))
    for layer in network.layers:
        assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in layer.parameters())


def test_the_fisher_information_counts_beside_the_layers() -> None:
    network, x = build()
    passed = network.propagate(x)
    jacobian, p = input_jacobian(network, x), passed.scores.softmax(1)
    metric = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    trace = torch.einsum("bsi,bst,bti->b", jacobian, metric, jacobian).mean()
    alone = Penalty(Schedule(0, 0), fisher=2)(network, passed, 0.0)
    torch.testing.assert_close(alone, 2 * trace)
    torch.testing.assert_close(
        Penalty(CONSTANT, fisher=2)(network, passed, 0), alone + Penalty(CONSTANT)(network, passed, 0)
    )
    torch.autograd.backward(alone)
    assert network.output.weight.grad is not None
    assert network.output.weight.grad.abs().sum().item() > 0


@pytest.mark.parametrize("derivative", ["layer", "accumulated"])
def test_what_is_not_said_is_as_in_a_configuration(derivative: Derivative) -> None:
    configured = DregConfig(strength=0.5, derivative=derivative, fisher=0.0).as_penalty("classification", seed=0)
    assert configured == Penalty(CONSTANT, derivative)
