"""A fitted network in raw units, against autograd through its own scores."""

import numpy as np
import pytest
import torch
from torch import nn

from chainzrule.service.artifact.interface import Task
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.link import TargetScale, link_of
from chainzrule.training.nn.network import ReluNetwork
from chainzrule.training.nn.ordinal import CumulativeLogits
from chainzrule.training.publish.golden import synthetic_rows
from tests.training.conftest import MakeModel

TASKS = {"classification": 3, "ordinal": 3, "regression": 1}
every_task = pytest.mark.parametrize(("task", "scores"), TASKS.items())


def made(make_model: MakeModel, task: str, scores: int) -> tuple[FittedModel, torch.Tensor]:
    model = make_model(task, scores=scores)
    return model, torch.from_numpy(synthetic_rows(model.columns, 7, seed=4))


@every_task
def test_scores_are_the_networks_between_the_units(make_model: MakeModel, task: str, scores: int) -> None:
    model, x = made(make_model, task, scores)
    mean, std = torch.from_numpy(model.columns.mean), torch.from_numpy(model.columns.std)
    with torch.no_grad():
        plain = model.network(((x.double() - mean) / std).float()).double()
    expected = {
        "classification": plain - plain.mean(dim=1, keepdim=True),
        "ordinal": plain,
        "regression": -200.0 + 35.0 * plain,
    }[task]
    found = model.scores(x)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    if task == "classification":
        assert float(found.sum(dim=1).abs().max()) < 1e-9 * float(found.abs().max())


@every_task
def test_the_jacobian_is_the_scores_derivative(make_model: MakeModel, task: str, scores: int) -> None:
    model, x = made(make_model, task, scores)
    model.scores(x)
    autograd = torch.func.vmap(torch.func.jacrev(lambda row: model.scores(row[None])[0]))(x.double())
    torch.testing.assert_close(model.jacobian(x), autograd, rtol=1e-8, atol=1e-12)


@every_task
def test_the_covariance_is_the_jacobians_under_the_declared_noise(
    make_model: MakeModel, task: str, scores: int
) -> None:
    model, x = made(make_model, task, scores)
    noise = torch.diag(torch.from_numpy(model.columns.noise).square())
    jacobian = model.jacobian(x)
    torch.testing.assert_close(model.covariance(x), jacobian @ noise @ jacobian.transpose(1, 2))
    assert bool((model.covariance(x).diagonal(dim1=1, dim2=2) > 0).all())


def test_probabilities_are_those_of_the_scores(make_model: MakeModel) -> None:
    model, x = made(make_model, "classification", 3)
    torch.testing.assert_close(model.probabilities(x), model.scores(x).softmax(dim=1))
    model, x = made(make_model, "ordinal", 3)
    exceeded = model.scores(x).sigmoid()
    p = model.probabilities(x)
    torch.testing.assert_close(p.flip(1).cumsum(1).flip(1)[:, 1:], exceeded, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(p.sum(dim=1), torch.ones(7, dtype=torch.float64))


@pytest.mark.parametrize("task", ["classification", "ordinal"])
def test_the_mean_shift_is_half_the_trace_of_the_second_derivative(make_model: MakeModel, task: str) -> None:
    model = make_model(task, hidden=(6, 5, 4), scores=3)
    x = torch.from_numpy(synthetic_rows(model.columns, 5, seed=4))
    model.scores(x)
    hessian = torch.func.vmap(torch.func.jacrev(torch.func.jacrev(lambda row: model.scores(row[None])[0])))(x.double())
    expected = 0.5 * torch.einsum("nsdd,d->ns", hessian, torch.from_numpy(model.columns.noise).square())
    found = model.mean_shift(x)
    assert found is not None
    assert found.shape == expected.shape == (5, 3)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-12)


def test_a_regressions_mean_does_not_shift(make_model: MakeModel) -> None:
    model, x = made(make_model, "regression", 1)
    assert model.mean_shift(x) is None


def test_piecewise_linear_layers_have_no_second_derivative(make_model: MakeModel) -> None:
    model, x = made(make_model, "classification", 3)
    relu = ReluNetwork(model.columns.width, (4,), 3, torch.Generator().manual_seed(0))
    with pytest.raises(TypeError, match="only polynomial layers"):
        FittedModel("classification", relu, model.columns, TargetScale()).mean_shift(x)


def test_the_network_is_left_as_it_is(make_model: MakeModel) -> None:
    """What is computed in float64 is a copy, of which nothing can be learnt."""
    model, x = made(make_model, "classification", 3)
    assert not model.scores(x).requires_grad
    assert all(each.dtype == torch.float32 and each.requires_grad for each in model.network.parameters())


@pytest.mark.parametrize(("task", "layer"), [("ordinal", CumulativeLogits), ("regression", nn.Linear)])
def test_each_task_has_its_last_layer(task: Task, layer: type[nn.Module]) -> None:
    assert link_of(task).last_layer is layer
    assert link_of("classification").last_layer is nn.Linear


def test_an_unscaled_target_is_as_it_is() -> None:
    assert (TargetScale().mean, TargetScale().std) == (0.0, 1.0)
    assert np.isfinite(TargetScale(1.0, 2.0).std)
