"""A fitted network tried on rows with noise."""

import numpy as np
import pytest
import torch

from chainzrule.training.data.dataset import Rows
from chainzrule.training.measure.trials import network_scores, try_model
from chainzrule.training.publish.golden import synthetic_rows
from tests.training.conftest import MakeModel

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
def test_a_trial_is_what_the_model_says_and_what_noise_does(make_model: MakeModel, task: str, scores: int) -> None:
    model = make_model(task, scores=scores)
    x = synthetic_rows(model.columns, 40, seed=2)
    rows = Rows(x, np.zeros(40, np.int64) if task != "regression" else np.zeros(40, np.float32))
    trial = try_model(model, rows, most=12, seed=3)
    assert trial.flips.shape == trial.spread.shape == (5, 12)
    known = model.scores(torch.from_numpy(x)).numpy()
    # Twelve different rows of the forty, each with its own scores and covariance.
    chosen = [int(np.abs(known - found).sum(axis=1).argmin()) for found in trial.scores]
    assert len(set(chosen)) == 12
    np.testing.assert_allclose(trial.scores, known[chosen], rtol=1e-4, atol=1e-4 * np.abs(known).max())
    covariance = model.covariance(torch.from_numpy(x)).numpy()[chosen]
    np.testing.assert_allclose(trial.covariance, covariance, rtol=1e-3, atol=1e-3 * np.abs(covariance).max())
    if task == "regression":
        assert trial.mean_shift is None
        assert not trial.flips.any()
        # The output's standard deviation at half the noise, where it is all but linear.
        np.testing.assert_allclose(trial.spread[0], 0.5 * np.sqrt(covariance[:, 0, 0]), rtol=0.25)
    else:
        assert trial.mean_shift is not None
        assert trial.flips[-1].mean() > trial.flips[0].mean()
    again, other = try_model(model, rows, 12, seed=3), try_model(model, rows, 12, seed=4)
    np.testing.assert_array_equal(trial.flips, again.flips)
    assert not np.array_equal(trial.spread, other.spread)
