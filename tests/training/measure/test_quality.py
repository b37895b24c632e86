"""Figures of answers on known rows, against scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics

from chainzrule.training.measure.quality import guesses, of_labels, of_regression

RANDOM = np.random.default_rng(4)


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
