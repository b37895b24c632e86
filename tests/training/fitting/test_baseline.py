import pytest
import torch

from chainzrule.training.fitting.baseline import count, matching_widths, relu_network
from chainzrule.training.nn.network import ChainzRuleNetwork


@pytest.mark.parametrize("inputs", [2, 10, 30, 784])
@pytest.mark.parametrize("hidden", [(16,), (8, 8), (16, 16), (64, 64), (32, 32, 32)])
@pytest.mark.parametrize("degree", [1, 3, 5])
@pytest.mark.parametrize("scores", [1, 10])
def test_the_parameters_match_within_two_percent(
    inputs: int, hidden: tuple[int, ...], degree: int, scores: int
) -> None:
    widths = [inputs, *hidden]
    parameters = count(inputs, hidden, scores) + (degree + 1) * sum(hidden)
    found = matching_widths(inputs, hidden, scores, parameters)
    assert len(found) == len(widths) - 1
    # One neuron more or less of a single hidden layer is inputs + scores + 1 parameters: it cannot come closer.
    coarse = (inputs + scores + 1) / 2 if len(hidden) == 1 else 0
    assert abs(count(inputs, found, scores) - parameters) <= max(0.02 * parameters, coarse)


def test_the_count_is_the_networks() -> None:
    parameters = ChainzRuleNetwork(5, [8, 8], 3, 3, torch.Generator()).parameter_count
    network = relu_network(5, [8, 8], 3, parameters, seed=0)
    assert network.parameter_count == count(5, [layer.weight.shape[0] for layer in network.layers], 3)
    assert abs(network.parameter_count - parameters) <= 0.02 * parameters
