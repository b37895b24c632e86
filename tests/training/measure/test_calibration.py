"""Calibration against models of which the truth is known, and in a card that a run published."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.stability.link import link_of
from chainzrule.training.data.dataset import Rows
from chainzrule.training.measure.calibration import NOISE_SCALES, Trial, calibration, sample, simulate
from chainzrule.training.measure.trials import network_scores, try_model
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.publish.golden import synthetic_rows

MakeModel = Callable[..., FittedModel]
TWO_LABELS = link_of("classification", 2)


@pytest.fixture(scope="module")
def linear() -> Trial:
    """A model of two labels and one feature that is linear: its flips are normal tails."""
    x = np.random.default_rng(0).normal(size=(300, 1)).astype(np.float32)

    def scores(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows, -rows], axis=1)

    flips, spread = simulate(TWO_LABELS, scores, x, np.array([0.1]), seed=1, draws=400)
    slope = np.array([[1.0], [-1.0]])
    return Trial(scores(x), np.tile(0.01 * slope @ slope.T, (300, 1, 1)), None, flips, spread)


def test_draws_flip_labels_as_often_as_theory_says(linear: Trial) -> None:
    margin = np.abs(linear.scores[:, 0] - linear.scores[:, 1])
    for flips, scale in zip(linear.flips, NOISE_SCALES, strict=True):
        expected = stats.norm.sf(margin / (0.2 * scale))
        z = (flips - expected) / np.sqrt(np.maximum(expected * (1 - expected), 1e-4) / 400)
        assert np.abs(z).max() < 5
        assert 0.6 < np.sqrt((z[expected > 0.01] ** 2).mean()) < 1.5


def test_a_true_diagnosis_is_found_calibrated(linear: Trial) -> None:
    found = calibration(TWO_LABELS, [linear], seed=1, draws=400)
    assert (found.rows, found.draws, found.seed) == (300, 400, 1)
    assert [level.noise_scale for level in found.noise_scales] == list(NOISE_SCALES)
    for level in found.noise_scales:
        assert level.calibration_error is not None
        assert level.calibration_error < 0.01
        assert level.uncertain_error is not None
        assert level.uncertain_error < 0.03
        assert level.brier_skill is not None
        assert level.brier_skill > 0.98
        assert level.volatility_ratio is not None
        assert level.volatility_ratio[1] == pytest.approx(1.0, abs=0.03)
        assert sum(part.rows for part in level.reliability) == 300
        assert level.auroc is not None
        assert level.auroc > 0.97
        assert level.auroc_draws is not None
        assert level.auroc_draws_best is not None
        assert level.auroc_draws <= level.auroc_draws_best + 1e-9


def test_a_false_diagnosis_is_found_out(linear: Trial) -> None:
    doubled = replace(linear, covariance=4.0 * linear.covariance)
    for right, wrong in zip(
        calibration(TWO_LABELS, [linear], seed=1, draws=400).noise_scales,
        calibration(TWO_LABELS, [doubled], seed=1, draws=400).noise_scales,
        strict=True,
    ):
        assert wrong.calibration_error is not None
        assert right.calibration_error is not None
        assert wrong.calibration_error > 3 * right.calibration_error
        assert wrong.volatility_ratio is not None
        assert wrong.volatility_ratio[1] > 1.2


def test_trials_of_parts_count_like_one_of_all(linear: Trial) -> None:
    parts = [
        Trial(linear.scores[part], linear.covariance[part], None, linear.flips[:, part], linear.spread[:, part])
        for part in (slice(0, 100), slice(100, 300))
    ]
    assert calibration(TWO_LABELS, parts, seed=1) == calibration(TWO_LABELS, [linear], seed=1)


@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_a_models_own_noise_is_what_the_measures_speak_of(make_model: MakeModel, task: str) -> None:
    model = make_model(task, hidden=(6, 5), scores=1 if task == "regression" else 3)
    x = synthetic_rows(model.columns, 60, seed=4)
    y = np.zeros(60, np.float32 if task == "regression" else np.int64)
    trial = try_model(model, Rows(x, y), most=40, seed=2)
    assert trial.flips.shape == trial.spread.shape == (len(NOISE_SCALES), 40)
    found = calibration(link_of(model.task, trial.scores.shape[1]), [trial], seed=2)
    level = found.noise_scales[1]
    assert level.volatility_ratio is not None
    assert level.volatility_ratio[1] == pytest.approx(1.0, abs=0.05)
    assert (level.calibration_error is None) == (task == "regression")
    again = try_model(model, Rows(x, y), most=40, seed=2)
    np.testing.assert_array_equal(trial.flips, again.flips)
    scores = network_scores(model)(x)
    expected = model.scores(torch.from_numpy(x)).numpy()
    if task == "classification":
        scores = scores - scores.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_wide_and_many_rows_are_bounded() -> None:
    assert sample(100, 5, 2000, 1).tolist() == list(range(100))
    assert len(sample(10_000, 784, 2000, 1)) == 2000
    assert len(sample(10_000, 150_528, 2000, 1)) == 50
    assert np.array_equal(sample(10_000, 784, 2000, 1), sample(10_000, 784, 2000, 1))
    assert not np.array_equal(sample(10_000, 784, 2000, 1), sample(10_000, 784, 2000, 2))


def test_it_is_optional_in_the_card() -> None:
    assert not ModelCard.model_fields["calibration"].is_required()
