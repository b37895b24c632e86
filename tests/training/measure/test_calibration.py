"""Calibration against models of which the truth is known, and in a card that a run published."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.stability.link import link_of
from chainzrule.training.data.dataset import Rows
from chainzrule.training.measure.calibration import calibration
from chainzrule.training.measure.outputs import simulation
from chainzrule.training.measure.simulation import NOISE_SCALES, Simulation
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.publish.golden import synthetic_rows

MakeModel = Callable[..., FittedModel]
TWO_LABELS = link_of("classification", 2)


def test_a_true_diagnosis_is_found_calibrated(linear: Simulation) -> None:
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


def test_a_false_diagnosis_is_found_out(linear: Simulation) -> None:
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


def test_simulations_of_parts_count_like_one_of_all(linear: Simulation) -> None:
    parts = [
        Simulation(linear.scores[part], linear.covariance[part], None, linear.flips[:, part], linear.spread[:, part])
        for part in (slice(0, 100), slice(100, 300))
    ]
    assert calibration(TWO_LABELS, parts, seed=1) == calibration(TWO_LABELS, [linear], seed=1)


@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_a_models_own_noise_is_what_the_measures_speak_of(make_model: MakeModel, task: str) -> None:
    scores = 1 if task == "regression" else 3
    model = make_model(task, hidden=(6, 5), scores=scores)
    x = synthetic_rows(model.columns, 60, seed=4)
    y = np.zeros(60, np.float32 if task == "regression" else np.int64)
    found = calibration(link_of(model.task, scores), [simulation(model, Rows(x, y), limit=40, seed=2)], seed=2)
    level = found.noise_scales[1]
    assert level.volatility_ratio is not None
    assert level.volatility_ratio[1] == pytest.approx(1.0, abs=0.05)
    assert (level.calibration_error is None) == (task == "regression")


def test_it_is_optional_in_the_card() -> None:
    assert not ModelCard.model_fields["calibration"].is_required()
