"""Figures of answers on known rows, against scikit-learn's."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.dummy import DummyClassifier

from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.link import link_of
from chainzrule.training.data.dataset import Rows
from chainzrule.training.measure.outputs import Outputs, predict
from chainzrule.training.measure.quality import (
    GUESSES,
    QUALITY,
    beyond_chance,
    guesses,
    losses,
    of_answers,
    of_labels,
    of_levels,
    of_regression,
    quality,
    uninformative,
)
from tests.training.conftest import Exported
from tests.training.measure.conftest import Predicted, rows

RANDOM = np.random.default_rng(4)


def figures(task: Task, y: NDArray[np.generic], outputs: Outputs) -> dict[str, float]:
    return quality(link_of(task, outputs.scores.shape[1]), y, outputs.scores, outputs.input_gradient)


def test_classification_quality_is_scikit_learns(classified: Predicted) -> None:
    _, given, outputs = classified
    found = figures("classification", given.y, outputs)
    p = torch.from_numpy(outputs.scores).double().softmax(dim=1).numpy()
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(given.y, p.argmax(axis=1)))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(given.y, p))


def test_the_guesses_are_scikit_learns_dummies(classified: Predicted) -> None:
    _, given, outputs = classified
    found = figures("classification", given.y, outputs)
    dummy = DummyClassifier(strategy="prior").fit(given.x, given.y)
    assert found["majority_share"] == pytest.approx(dummy.score(given.x, given.y))
    assert found["frequency_log_loss"] == pytest.approx(metrics.log_loss(given.y, dummy.predict_proba(given.x)))


def test_regression_quality_is_scikit_learns(regressor: Exported) -> None:
    model = regressor[0]
    given = rows(model)
    outputs = predict(model, given)
    found = figures("regression", given.y, outputs)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(given.y, outputs.scores[:, 0]))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(given.y, outputs.scores[:, 0]))
    assert found["r2"] == pytest.approx(metrics.r2_score(given.y, outputs.scores[:, 0]))
    assert set(found) <= set(QUALITY)


def test_ordinal_quality_is_scikit_learns(grader: Exported) -> None:
    model = grader[0]
    given = rows(model)
    outputs = predict(model, given)
    found = figures("ordinal", given.y, outputs)
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
    assert figures("regression", still.y, predict(regressor[0], still))["r2"] == 0


def test_every_figure_has_a_meaning(classified: Predicted) -> None:
    _, given, outputs = classified
    found = figures("classification", given.y, outputs)
    assert set(found) <= set(QUALITY)
    g = outputs.input_gradient
    assert found["input_gradient_norm_p99"] == pytest.approx(np.percentile(g, 99))
    assert found["input_gradient_norm_max"] == g.max()


def test_of_a_regression() -> None:
    y = RANDOM.normal(5.0, 3.0, size=50)
    output = y + RANDOM.normal(0.5, 1.0, size=50)
    found = of_regression(y, output)
    assert found == pytest.approx(
        {
            "rmse": metrics.root_mean_squared_error(y, output),
            "mae": metrics.mean_absolute_error(y, output),
            "r2": metrics.r2_score(y, output),
        }
    )
    assert of_regression(np.ones(5), np.full(5, 3.0)) == {"rmse": 2.0, "mae": 2.0, "r2": 0.0}  # nothing to explain


def test_of_labels() -> None:
    scores = RANDOM.normal(size=(60, 3)) * 3
    y = np.where(RANDOM.random(60) < 0.6, scores.argmax(axis=1), RANDOM.integers(0, 3, 60))
    odds = np.exp(scores)
    p = odds / odds.sum(axis=1, keepdims=True)
    found = of_labels(y, scores)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, p.argmax(axis=1)))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p, labels=[0, 1, 2]))
    shares = np.bincount(y) / 60
    assert found["majority_share"] == shares.max()
    assert found["frequency_log_loss"] == pytest.approx(metrics.log_loss(y, np.tile(shares, (60, 1)), labels=[0, 1, 2]))


def test_scores_that_would_overflow_have_a_loss() -> None:
    found = of_labels(np.array([0, 1]), np.array([[1e4, 0.0], [1e4, 0.0]]))
    assert (found["accuracy"], found["log_loss"]) == (0.5, 5e3)


def test_one_label_alone_is_guessed_surely() -> None:
    assert guesses(np.zeros(4, np.int64)) == {"majority_share": 1.0, "frequency_log_loss": 0.0}


def test_answers_are_judged_by_what_the_scores_mean() -> None:
    scores, y = RANDOM.normal(size=(30, 2)), RANDOM.integers(0, 2, 30)
    assert of_answers(link_of("classification", 2), y, scores) == of_labels(y, scores)
    ordered = -np.sort(-scores, axis=1)
    assert of_answers(link_of("ordinal", 2), y, ordered.astype(np.float32)) == pytest.approx(of_levels(y, ordered))
    target = RANDOM.normal(size=30)
    assert of_answers(link_of("regression", 1), target, scores[:, :1]) == of_regression(target, scores[:, 0])


def test_every_guess_stands_beside_a_figure() -> None:
    assert {*GUESSES, *GUESSES.values()} <= set(QUALITY)


@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_answers_that_look_at_nothing_are_uninformative_and_those_that_know_are_not(task: Task) -> None:
    random = np.random.default_rng(0)
    link = link_of(task, 1 if task == "regression" else 2)
    y = random.normal(size=200) if task == "regression" else random.integers(0, 2, 200)
    constant = np.tile([[0.1, -0.1][: 1 if task == "regression" else 2]], (200, 1))
    assert uninformative(link, y, constant)
    barely = constant + 1e-3 * random.normal(size=constant.shape)
    assert uninformative(link, y, barely if task != "ordinal" else -np.sort(-barely, axis=1))
    knowing = {
        "classification": np.stack([-y, y], axis=1) * 0.5,
        "ordinal": np.stack([2.0 * y - 1.0, np.full(200, -4.0)], axis=1),
        "regression": 0.5 * y[:, None],
    }[task]
    assert not uninformative(link, y, knowing)


def test_gains_are_beyond_chance_where_they_are_large_against_their_error() -> None:
    assert beyond_chance(np.array([1.0, 2.0, 1.5]))
    assert not beyond_chance(np.array([5.0, -4.0, 1.0, 0.5]))
    assert not beyond_chance(np.zeros(5))
    assert not beyond_chance(np.array([-1.0, -2.0]))


def test_losses_are_those_of_the_rows() -> None:
    scores, y = RANDOM.normal(size=(30, 3)), RANDOM.integers(0, 3, 30)
    assert losses(link_of("classification", 3), y, scores).mean() == pytest.approx(of_labels(y, scores)["log_loss"])
    target = RANDOM.normal(size=30)
    squared = losses(link_of("regression", 1), target, scores[:, :1])
    assert np.sqrt(squared.mean()) == pytest.approx(of_regression(target, scores[:, 0])["rmse"])
