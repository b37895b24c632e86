"""The constants that graphs are made of, against the network that they were folded from."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from chainzrule.training.nn.folded import fold, noise_factor
from chainzrule.training.nn.network import ReluNetwork
from chainzrule.training.publish.golden import synthetic_rows
from tests.training.conftest import MakeModel


@pytest.mark.parametrize(("task", "scores"), [("classification", 3), ("ordinal", 4), ("regression", 1)])
def test_the_constants_give_the_models_scores(make_model: MakeModel, task: str, scores: int) -> None:
    model = make_model(task, scores=scores)
    x = torch.from_numpy(synthetic_rows(model.columns, 9, seed=3))
    folded = fold(model)
    h = x.double() - folded.offset
    for weight, bias, coefficients in zip(folded.weights, folded.biases, folded.coefficients, strict=True):
        z = h @ weight.T + bias
        h = torch.stack([row * z**power for power, row in enumerate(coefficients, start=1)]).sum(dim=0)
    torch.testing.assert_close(h @ folded.output_weight.T + folded.output_bias, model.scores(x), rtol=1e-6, atol=1e-6)
    assert len(folded.output_weight) == (1 if task == "ordinal" else scores)


def test_the_leading_directions_and_the_rest_are_the_noise_behind_the_first_layer(make_model: MakeModel) -> None:
    model = make_model(hidden=(5, 4))
    folded = fold(model)
    noisy = folded.weights[0] * torch.from_numpy(model.columns.noise)
    expected = noisy @ noisy.T
    torch.testing.assert_close(folded.factor @ folded.factor.T, expected)
    assert folded.rest is None
    torch.testing.assert_close(folded.leading.T @ folded.leading, expected)


def test_more_neurons_than_noisy_columns() -> None:
    weight = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise = torch.tensor([0.5, 0.0, 2.0, 0.0], dtype=torch.float64)
    factor = noise_factor(weight, noise)
    assert factor.shape == (9, 2)
    torch.testing.assert_close(factor @ factor.T, (weight * noise) @ (weight * noise).T)


def test_an_images_mean_is_one_number(make_model: MakeModel) -> None:
    model = make_model()
    alike = replace(model, columns=replace(model.columns, mean=np.full(7, 33.3)))
    assert fold(alike).offset.shape == (1,)
    assert fold(model).offset.shape == (7,)


def test_a_relu_network_has_no_such_graph(make_model: MakeModel) -> None:
    model = make_model()
    relu = replace(model, network=ReluNetwork(7, [4], 3, torch.Generator().manual_seed(0)))
    with pytest.raises(TypeError, match="polynomial"):
        fold(relu)
