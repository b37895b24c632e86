"""What a fitted network says of rows, against the network itself and against autograd."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.conformal import make_conformity
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.temperature import fit_temperature
from chainzrule.training.data.dataset import Rows
from chainzrule.training.errors import DivergenceError
from chainzrule.training.measure.outputs import (
    conformity,
    input_gradient,
    join,
    measured,
    network_scores,
    predict,
    predict_baseline,
    reference,
    simulation,
)
from chainzrule.training.measure.quality import quality
from chainzrule.training.nn.link import link_of as torch_link_of
from chainzrule.training.nn.network import ReluNetwork
from chainzrule.training.publish.golden import synthetic_rows
from tests.training.conftest import Exported, MakeModel
from tests.training.measure.conftest import Predicted, rows


@pytest.mark.parametrize("task", ["classification", "ordinal"])
@pytest.mark.parametrize("network", ["chainzrule", "relu"])
def test_the_input_gradient_norm_is_that_of_the_probabilities(make_model, network: str, task: Task) -> None:  # type: ignore[no-untyped-def]
    model = make_model(task)
    if network == "relu":
        relu = ReluNetwork(7, [9, 5], 3, torch.Generator().manual_seed(0), torch_link_of(task).last_layer)
        model = replace(model, network=relu)
    given = rows(model, 20)
    x = torch.from_numpy(model.columns.standardise(given.x)).float()

    def probabilities(row: torch.Tensor) -> torch.Tensor:
        scores = model.network(row[None])[0]
        if task == "classification":
            return scores.softmax(dim=0)
        return -torch.cat([torch.ones(1), scores.sigmoid(), torch.zeros(1)]).diff()

    jacobian = torch.func.vmap(torch.func.jacrev(probabilities))(x)
    expected = torch.linalg.vector_norm(jacobian, dim=(1, 2)).detach()
    np.testing.assert_allclose(input_gradient(model, given), expected, rtol=1e-4)


def test_a_regressions_input_gradient_is_in_the_targets_unit(regressor: Exported) -> None:
    model = regressor[0]
    given = rows(model, 20)
    per_raw_unit = model.jacobian(torch.from_numpy(given.x)).numpy()
    expected = np.linalg.norm(per_raw_unit * model.columns.std, axis=(1, 2))
    np.testing.assert_allclose(input_gradient(model, given), expected, rtol=1e-4)


def test_the_reference_describes_what_the_service_would_measure(classified: Predicted) -> None:
    model, given, outputs = classified
    link = link_of("classification", 3)
    found = reference(link, measured(link, outputs), outputs, given.y, out_of_fold=False)
    norm = np.sqrt(np.trace(model.covariance(torch.from_numpy(given.x)).numpy(), axis1=1, axis2=2))
    assert found.rows == 300
    assert found.gradient_norm.mean == pytest.approx(norm.mean(), rel=1e-4)
    assert found.gradient_norm.quantiles[100] == pytest.approx(norm.max(), rel=1e-4)
    assert found.gradient_tail_ratio == pytest.approx(np.percentile(norm, 99) / norm.mean(), rel=1e-4)
    assert 0 < found.volatility.quantiles[50] < 0.5
    assert found.flip_probability is not None
    assert 0 <= found.flip_probability.quantiles[50] <= found.flip_probability.quantiles[100] < 1
    assert found.out_of_range_rate == 0


def test_conformity_is_of_the_truth_of_the_same_rows(classified: Predicted, regressor: Exported) -> None:
    _, given, outputs = classified
    link = link_of("classification", 3)
    found = conformity(link, outputs, given.y, out_of_fold=True)
    likely = link.log_likelihood(outputs.scores.astype(np.float64), given.y)
    assert (found.rows, found.out_of_fold, found.scale) == (300, True, None)
    np.testing.assert_allclose(found.errors, np.sort(-likely), rtol=1e-5)
    assert found.temperature == fit_temperature(link, outputs.scores.astype(np.float64), given.y)
    held = rows(regressor[0])
    outputs = predict(regressor[0], held)
    found = conformity(link_of("regression", 1), outputs, held.y, out_of_fold=False)
    spread = np.sqrt(outputs.covariance[:, 0, 0].astype(np.float64))
    expected = make_conformity(link_of("regression", 1), outputs.scores.astype(np.float64), held.y, spread, False)
    assert found.scale == pytest.approx(expected.scale, rel=1e-6)
    np.testing.assert_allclose(found.errors, expected.errors, rtol=2e-5)


def test_a_regressions_volatility_is_its_gradient_norm(regressor: Exported) -> None:
    held = rows(regressor[0])
    link, outputs = link_of("regression", 1), predict(regressor[0], held)
    found = reference(link, measured(link, outputs), outputs, held.y, out_of_fold=True)
    assert found.volatility == found.gradient_norm
    assert found.flip_probability is None
    assert found.out_of_fold


def test_a_model_that_never_moves_has_a_tail_ratio_of_one(classified: Predicted) -> None:
    _, given, outputs = classified
    assert outputs.covariance is not None
    still = replace(outputs, covariance=0 * outputs.covariance, input_gradient=np.zeros(300))
    link = link_of("classification", 3)
    assert reference(link, measured(link, still), still, given.y, out_of_fold=False).gradient_tail_ratio == 1
    figures = quality(link_of("classification", 3), given.y, still.scores, still.input_gradient)
    assert figures["input_gradient_norm_tail_ratio"] == 1


def test_parts_are_joined_in_the_rows_order(classified: Predicted) -> None:
    model, given, outputs = classified
    order = np.random.default_rng(1).permutation(len(given))
    parts = [predict(model, given.take(order[:100])), predict(model, given.take(order[100:]))]
    joined = join(parts, order)
    np.testing.assert_allclose(joined.scores, outputs.scores, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(joined.covariance, outputs.covariance, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(joined.input_gradient, outputs.input_gradient, rtol=1e-5)


def test_a_baseline_gives_the_same_scores_without_a_covariance(classified: Predicted) -> None:
    model, given, outputs = classified
    found = predict_baseline(model, given)
    assert found.covariance is None
    np.testing.assert_allclose(found.scores, outputs.scores, rtol=1e-4, atol=1e-5)
    assert join([found], np.arange(len(given))).covariance is None


def test_rows_where_the_polynomials_explode_are_an_error(classified: Predicted) -> None:
    model, given, _ = classified
    far = Rows(given.x * np.float32(1e20), given.y)
    with pytest.raises(DivergenceError, match="not all finite"):
        predict(model, far)


TASKS = {"classification": 3, "ordinal": 3, "regression": 1}


@pytest.mark.parametrize(("task", "scores"), TASKS.items())
def test_scores_are_the_models_own_in_float32(make_model: MakeModel, task: str, scores: int) -> None:
    model = make_model(task, scores=scores)
    x = synthetic_rows(model.columns, 20, seed=1)
    found, expected = network_scores(model)(x).astype(np.float64), model.scores(torch.from_numpy(x)).numpy()
    if task == "classification":  # of logits only their differences mean anything
        found = found - found.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize(("task", "scores"), TASKS.items())
def test_a_simulation_is_what_the_model_says_and_what_noise_does(make_model: MakeModel, task: str, scores: int) -> None:
    model = make_model(task, scores=scores)
    x = synthetic_rows(model.columns, 40, seed=2)
    rows = Rows(x, np.zeros(40, np.int64) if task != "regression" else np.zeros(40, np.float32))
    found = simulation(model, rows, limit=12, seed=3)
    assert found.flips.shape == found.spread.shape == (5, 12)
    known = model.scores(torch.from_numpy(x)).numpy()
    # Twelve different rows of the forty, each with its own scores and covariance.
    chosen = [int(np.abs(known - row).sum(axis=1).argmin()) for row in found.scores]
    assert len(set(chosen)) == 12
    np.testing.assert_allclose(found.scores, known[chosen], rtol=1e-4, atol=1e-4 * np.abs(known).max())
    covariance = model.covariance(torch.from_numpy(x)).numpy()[chosen]
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-3, atol=1e-3 * np.abs(covariance).max())
    if task == "regression":
        assert found.mean_shift is None
        assert not found.flips.any()
        # The output's standard deviation at half the noise, where it is all but linear.
        np.testing.assert_allclose(found.spread[0], 0.5 * np.sqrt(covariance[:, 0, 0]), rtol=0.25)
    else:
        assert found.mean_shift is not None
        assert found.flips[-1].mean() > found.flips[0].mean()
    again, other = simulation(model, rows, 12, seed=3), simulation(model, rows, 12, seed=4)
    np.testing.assert_array_equal(found.flips, again.flips)
    assert not np.array_equal(found.spread, other.spread)
