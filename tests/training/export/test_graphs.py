"""The exported graphs as torch modules, against the definition in float64."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chainzrule.training.export.graphs import JacobianGraph, LayersGraph, PredictionGraph
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.folded import fold
from chainzrule.training.publish.golden import synthetic_rows

MakeModel = Callable[..., FittedModel]

shapes = st.fixed_dictionaries(
    {
        "task": st.sampled_from(["classification", "ordinal"]),
        "hidden": st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
        "degree": st.integers(1, 5),
        "scores": st.integers(2, 5),
        "seed": st.integers(0, 10**6),
    }
)


def outputs(model: FittedModel, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """All outputs of the graphs, in the precision of `x`."""
    folded = fold(model)
    found: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for graph in (PredictionGraph(folded, model.task), JacobianGraph(folded), LayersGraph(folded)):
            found |= zip(graph.output_names, graph(x), strict=True)
    return found


def rows(model: FittedModel, count: int = 5) -> torch.Tensor:
    return torch.from_numpy(synthetic_rows(model.columns, count, seed=11))


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> bool:
    scale = expected.abs().amax(dim=tuple(range(1, expected.ndim)), keepdim=True)
    return bool(((found - expected).abs() <= tolerance * (scale + 1e-3 * scale.max())).all())


@given(shape=shapes)
@settings(deadline=None, max_examples=40)
def test_folded_graphs_follow_the_definition(make_model: MakeModel, shape: dict[str, Any]) -> None:
    model = make_model(**shape)
    x = rows(model)
    found = outputs(model, x)
    assert close(found["scores"], model.scores(x))
    assert close(found["probabilities"], model.probabilities(x))
    # float32 loses up to 2e-4 of a steep network's slopes (two layers of degree 5), and the covariance is their square.
    assert close(found["jacobian"], model.jacobian(x), 1e-3)
    assert close(found["covariance"], model.covariance(x), 1e-3)


def test_a_regression_answers_in_the_targets_unit(make_model: MakeModel) -> None:
    model = make_model("regression", hidden=(6, 5), scores=1)
    x = rows(model)
    found = outputs(model, x)
    assert set(found) == {"scores", "covariance", "jacobian", "layer_norms"}
    standardised = torch.from_numpy(model.columns.standardise(x.numpy())).float()
    with torch.no_grad():
        assert close(found["scores"], model.network(standardised) * 35.0 - 200.0)
    assert close(found["jacobian"], model.jacobian(x))
    assert close(found["covariance"], model.covariance(x))


def test_ordinal_scores_move_as_one(make_model: MakeModel) -> None:
    model = make_model("ordinal", hidden=(6, 5), scores=4)
    x = rows(model)
    found = outputs(model, x)
    assert found["probabilities"].shape == (5, 5)
    assert found["jacobian"].shape == (5, 4, 7)
    assert found["covariance"].shape == (5, 4, 4)
    for name in ("jacobian", "covariance"):
        assert bool((found[name] == found[name][:, :1]).all())
    gaps = found["scores"].diff(dim=1)
    torch.testing.assert_close(gaps, gaps[:1].expand_as(gaps), rtol=1e-5, atol=1e-6)
    exceeding = torch.cat([torch.ones(5, 1), found["scores"].sigmoid(), torch.zeros(5, 1)], dim=1)
    torch.testing.assert_close(found["probabilities"], -exceeding.diff(dim=1), rtol=1e-4, atol=1e-6)


def test_the_covariance_is_j_n_squared_j_transposed(make_model: MakeModel) -> None:
    model = make_model()
    x = rows(model)
    J, N = model.jacobian(x), torch.diag(torch.from_numpy(model.columns.noise))
    torch.testing.assert_close(model.covariance(x), J @ N @ N @ J.transpose(1, 2))


@pytest.mark.parametrize("common", [10.0, 1000.0])
def test_a_large_common_direction_of_the_scores_costs_no_precision(make_model: MakeModel, common: float) -> None:
    """The softmax does not see it, but an uncentred covariance in float32 would drown the margins' variances in it."""
    plain = make_model(seed=4)
    x = rows(plain, 50)
    with torch.no_grad():
        shared = make_model(seed=4)
        shared.network.output.weight += common * torch.randn(1, 6, generator=torch.Generator().manual_seed(1))
    found, expected = outputs(shared, x)["covariance"].double(), plain.covariance(x)
    # The shared weights were rounded to float32 once more when they were added up.
    tolerance = 1e-4 + 1e-6 * common
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        margin = found[:, a, a] + found[:, b, b] - 2 * found[:, a, b]
        truth = expected[:, a, a] + expected[:, b, b] - 2 * expected[:, a, b]
        assert bool((margin > 0).all())
        torch.testing.assert_close(margin, truth, rtol=10 * tolerance, atol=1e-9)
    assert close(found, expected, tolerance)


@pytest.mark.parametrize("task", ["classification", "ordinal"])
def test_the_last_layers_norm_is_the_covariances_trace(make_model: MakeModel, task: str) -> None:
    model = make_model(task, hidden=(7, 6, 5))
    x = rows(model)
    found = outputs(model, x)
    assert found["layer_norms"].shape == (5, 4)
    trace = found["covariance"].diagonal(dim1=1, dim2=2).sum(dim=1)
    torch.testing.assert_close(found["layer_norms"][:, -1], trace.sqrt(), rtol=1e-5, atol=0)


def test_a_layers_norm_is_its_derivatives_along_one_noise_sigma(make_model: MakeModel) -> None:
    model = make_model(hidden=(7, 6))
    x = rows(model)
    columns = model.columns

    def first_layer(row: torch.Tensor) -> torch.Tensor:
        standardised = (row - torch.from_numpy(columns.mean)) / torch.from_numpy(columns.std)
        value: torch.Tensor = next(model._double.layers)(standardised[None])[0][0]
        return value

    model.scores(x)
    derivative = torch.func.vmap(torch.func.jacrev(first_layer))(x.double()) * torch.from_numpy(columns.noise)
    expected = torch.linalg.vector_norm(derivative, dim=(1, 2))
    torch.testing.assert_close(outputs(model, x)["layer_norms"][:, 0].double(), expected, rtol=1e-4, atol=0)


def test_without_any_noise_nothing_moves(make_model: MakeModel) -> None:
    model = make_model()
    still = replace(model, columns=replace(model.columns, noise=np.zeros(7)))
    found = outputs(still, rows(model))
    assert not found["covariance"].any()
    assert not found["layer_norms"].any()
    assert found["jacobian"].any()
