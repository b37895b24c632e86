from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn import metrics
from sklearn.dummy import DummyClassifier

from chainzrule.service.artifact.card import Role
from chainzrule.service.artifact.interface import Task
from chainzrule.training.data.dataset import Rows
from chainzrule.training.errors import DivergenceError
from chainzrule.training.measure.outputs import (
    QUALITY,
    Outputs,
    input_gradient,
    join,
    predict,
    predict_baseline,
    quality,
    reference,
)
from chainzrule.training.nn.fitted import FittedModel, last_layer
from chainzrule.training.nn.network import ReluNetwork
from chainzrule.training.publish.golden import synthetic_rows

Exported = tuple[FittedModel, dict[Role, bytes]]


def rows(model: FittedModel, count: int = 300) -> Rows:
    x = synthetic_rows(model.columns, count, seed=6)
    random = np.random.default_rng(0)
    if model.task == "regression":
        return Rows(x, random.normal(-200, 35, count).astype(np.float32))
    return Rows(x, random.integers(0, 3, count))


@pytest.fixture(scope="module")
def classified(classifier: Exported) -> tuple[FittedModel, Rows, Outputs]:
    model = classifier[0]
    given = rows(model)
    return model, given, predict(model, given)


def test_classification_quality_is_scikit_learns(classified: tuple[FittedModel, Rows, Outputs]) -> None:
    _, given, outputs = classified
    found = quality("classification", given.y, outputs)
    p = torch.from_numpy(outputs.scores).double().softmax(dim=1).numpy()
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(given.y, p.argmax(axis=1)))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(given.y, p))


def test_the_guesses_are_scikit_learns_dummies(classified: tuple[FittedModel, Rows, Outputs]) -> None:
    _, given, outputs = classified
    found = quality("classification", given.y, outputs)
    dummy = DummyClassifier(strategy="prior").fit(given.x, given.y)
    assert found["majority_share"] == pytest.approx(dummy.score(given.x, given.y))
    assert found["frequency_log_loss"] == pytest.approx(metrics.log_loss(given.y, dummy.predict_proba(given.x)))


def test_regression_quality_is_scikit_learns(regressor: Exported) -> None:
    model = regressor[0]
    given = rows(model)
    outputs = predict(model, given)
    found = quality("regression", given.y, outputs)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(given.y, outputs.scores[:, 0]))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(given.y, outputs.scores[:, 0]))
    assert found["r2"] == pytest.approx(metrics.r2_score(given.y, outputs.scores[:, 0]))
    assert set(found) <= set(QUALITY)


def test_ordinal_quality_is_scikit_learns(grader: Exported) -> None:
    model = grader[0]
    given = rows(model)
    outputs = predict(model, given)
    found = quality("ordinal", given.y, outputs)
    p = model.probabilities(torch.from_numpy(given.x)).numpy()
    levels = (outputs.scores > 0).sum(axis=1)
    assert len(np.unique(levels)) > 1
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(given.y, levels))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(given.y, levels))
    assert found["quadratic_kappa"] == pytest.approx(metrics.cohen_kappa_score(given.y, levels, weights="quadratic"))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(given.y, p, labels=range(5)), rel=1e-5)
    assert found["median_mae"] == pytest.approx(metrics.mean_absolute_error(given.y, np.full(300, np.median(given.y))))
    assert set(found) <= set(QUALITY)


def test_a_target_that_does_not_vary_leaves_nothing_to_explain(regressor: Exported) -> None:
    given = rows(regressor[0])
    still = Rows(given.x, np.full(len(given), -200, dtype=np.float32))
    assert quality("regression", still.y, predict(regressor[0], still))["r2"] == 0


def test_every_figure_has_a_meaning(classified: tuple[FittedModel, Rows, Outputs]) -> None:
    _, given, outputs = classified
    found = quality("classification", given.y, outputs)
    assert set(found) <= set(QUALITY)
    g = outputs.input_gradient
    assert found["input_gradient_norm_p99"] == pytest.approx(np.percentile(g, 99))
    assert found["input_gradient_norm_max"] == g.max()


@pytest.mark.parametrize("task", ["classification", "ordinal"])
@pytest.mark.parametrize("network", ["chainzrule", "relu"])
def test_the_input_gradient_norm_is_that_of_the_probabilities(make_model, network: str, task: Task) -> None:  # type: ignore[no-untyped-def]
    model = make_model(task)
    if network == "relu":
        relu = ReluNetwork(7, [9, 5], 3, torch.Generator().manual_seed(0), last_layer(task))
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


def test_the_reference_describes_what_the_service_would_measure(classified: tuple[FittedModel, Rows, Outputs]) -> None:
    model, given, outputs = classified
    found = reference("classification", outputs, out_of_fold=False)
    norm = np.sqrt(np.trace(model.covariance(torch.from_numpy(given.x)).numpy(), axis1=1, axis2=2))
    assert found.rows == 300
    assert found.gradient_norm.mean == pytest.approx(norm.mean(), rel=1e-4)
    assert found.gradient_norm.quantiles[100] == pytest.approx(norm.max(), rel=1e-4)
    assert found.gradient_tail_ratio == pytest.approx(np.percentile(norm, 99) / norm.mean(), rel=1e-4)
    assert 0 < found.volatility.quantiles[50] < 0.5
    assert found.flip_probability is not None
    assert 0 <= found.flip_probability.quantiles[50] <= found.flip_probability.quantiles[100] < 1
    assert found.out_of_range_rate == 0


def test_a_regressions_volatility_is_its_gradient_norm(regressor: Exported) -> None:
    found = reference("regression", predict(regressor[0], rows(regressor[0])), out_of_fold=True)
    assert found.volatility == found.gradient_norm
    assert found.flip_probability is None
    assert found.out_of_fold


def test_a_model_that_never_moves_has_a_tail_ratio_of_one(classified: tuple[FittedModel, Rows, Outputs]) -> None:
    _, given, outputs = classified
    assert outputs.covariance is not None
    still = replace(outputs, covariance=0 * outputs.covariance, input_gradient=np.zeros(300))
    assert reference("classification", still, out_of_fold=False).gradient_tail_ratio == 1
    assert quality("classification", given.y, still)["input_gradient_norm_tail_ratio"] == 1


def test_parts_are_joined_in_the_rows_order(classified: tuple[FittedModel, Rows, Outputs]) -> None:
    model, given, outputs = classified
    order = np.random.default_rng(1).permutation(len(given))
    parts = [predict(model, given.take(order[:100])), predict(model, given.take(order[100:]))]
    joined = join(parts, order)
    np.testing.assert_allclose(joined.scores, outputs.scores, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(joined.covariance, outputs.covariance, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(joined.input_gradient, outputs.input_gradient, rtol=1e-5)


def test_a_baseline_gives_the_same_scores_without_a_covariance(classified: tuple[FittedModel, Rows, Outputs]) -> None:
    model, given, outputs = classified
    found = predict_baseline(model, given)
    assert found.covariance is None
    np.testing.assert_allclose(found.scores, outputs.scores, rtol=1e-4, atol=1e-5)
    assert join([found], np.arange(len(given))).covariance is None


def test_rows_where_the_polynomials_explode_are_an_error(classified: tuple[FittedModel, Rows, Outputs]) -> None:
    model, given, _ = classified
    far = Rows(given.x * np.float32(1e20), given.y)
    with pytest.raises(DivergenceError, match="not all finite"):
        predict(model, far)
