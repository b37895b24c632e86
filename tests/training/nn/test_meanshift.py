"""How noise shifts the scores' mean: against second derivatives by autograd, and against draws."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from chainzrule.training.export.graphs import PredictionGraph
from chainzrule.training.export.verify import difference
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.folded import fold
from chainzrule.training.nn.meanshift import half_curvature_coefficients, leading_directions
from chainzrule.training.publish.golden import synthetic_rows

MakeModel = Callable[..., FittedModel]


def half_traces(model: FittedModel, x: torch.Tensor) -> torch.Tensor:
    """(rows, S) half the trace of each score's second derivative under the noise, by autograd."""
    model.scores(x[:1])
    noise = torch.from_numpy(model.columns.noise)

    def row_scores(row: torch.Tensor) -> torch.Tensor:
        return model.scores(row[None])[0]

    hessians = torch.func.vmap(torch.func.jacrev(torch.func.jacrev(row_scores)))(x.double())
    return 0.5 * torch.einsum("nsdd,d->ns", hessians, noise.square())


@pytest.mark.parametrize("task", ["classification", "ordinal"])
@pytest.mark.parametrize(("hidden", "degree"), [((7,), 3), ((6, 5), 2), ((9, 8, 7), 3), ((5, 4), 5), ((6, 5), 1)])
def test_it_is_half_the_trace_of_the_second_derivative(
    make_model: MakeModel, task: str, hidden: tuple[int, ...], degree: int
) -> None:
    model = make_model(task, hidden=hidden, scores=4, degree=degree)
    x = torch.from_numpy(synthetic_rows(model.columns, 6, seed=3))
    found, expected = model.mean_shift(x), half_traces(model, x)
    assert found is not None
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-12)
    folded = fold(model)
    graph = PredictionGraph(folded, model.task)
    with torch.no_grad():
        shift = dict(zip(graph.output_names, graph(x), strict=True))["mean_shift"]
    if degree > 1:
        assert difference(shift.numpy(), expected.numpy()) < 1e-4
    else:
        assert not shift.any()


def test_a_wide_layer_keeps_leading_directions_and_the_rest_as_a_diagonal() -> None:
    factor = torch.from_numpy(np.random.default_rng(0).normal(size=(100, 40)))
    leading, rest = leading_directions(factor)
    assert leading.shape == (2, 100)
    torch.testing.assert_close(leading.square().sum(dim=0) + rest, factor.square().sum(dim=1))
    u, s, _ = torch.linalg.svd(factor, full_matrices=False)
    torch.testing.assert_close(leading.T @ leading, (u[:, :2] * s[:2] ** 2) @ u[:, :2].T)


def test_a_directions_largest_entry_is_positive() -> None:
    """So that the same weights give the same file, whatever sign a library's decomposition takes."""
    random = np.random.default_rng(1)
    for seed in range(6):
        factor = torch.from_numpy(random.normal(size=(5 + seed, 4)))
        leading, _ = leading_directions(factor)
        for direction in leading:
            assert float(direction[direction.abs().argmax()]) > 0
        negated, _ = leading_directions(-factor)
        torch.testing.assert_close(negated, leading)


def test_it_explains_what_draws_through_the_network_do_to_the_mean(make_model: MakeModel) -> None:
    model = make_model("classification", hidden=(9, 8), scores=3)
    noise = torch.from_numpy(model.columns.noise)
    x = torch.from_numpy(synthetic_rows(model.columns, 4, seed=5)).double()
    draws = torch.randn(200_000, model.columns.width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = model.mean_shift(x)
    assert expected is not None
    for row, shift in zip(x, expected, strict=True):
        # Antithetic: what is odd in the noise cancels exactly.
        moved = (model.scores(row + draws * noise) + model.scores(row - draws * noise)) / 2 - model.scores(row[None])
        standard_error = moved.std(dim=0) / len(draws) ** 0.5
        assert bool(((moved.mean(dim=0) - shift).abs() <= 5 * standard_error + 0.15 * shift.abs().max()).all())


def test_half_curvatures_are_half_of_second_derivatives() -> None:
    coefficients = [0.3, -0.7, 0.4, 0.1, -0.2]
    expected = np.polynomial.Polynomial([0.0, *coefficients]).deriv(2) / 2
    found = half_curvature_coefficients([torch.tensor(value) for value in coefficients])
    np.testing.assert_allclose([float(value) for value in found], expected.coef, rtol=1e-6)
    assert half_curvature_coefficients([torch.tensor(1.0)]) == []


def test_no_noise_shifts_nothing(make_model: MakeModel) -> None:
    model = make_model("classification", hidden=(6, 5), scores=3)
    silent = replace(model, columns=replace(model.columns, noise=np.zeros(model.columns.width)))
    shift = silent.mean_shift(torch.from_numpy(synthetic_rows(model.columns, 3, seed=1)))
    assert shift is not None
    assert not shift.any()
