"""Calibration against models of which the truth is known, and in a card that a run published."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.artifact.evidence import NoiseCalibration
from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.measures import diagnose
from chainzrule.training.data.dataset import Rows
from chainzrule.training.measure.calibration import FLIPPING, calibration, compared
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


# Five rows whose draws flipped as `FLIPS` says; `FLIPPING` counts the last three as rows that flip.
FLIPS = np.array([0.0, 0.04, 0.05, 0.5, 0.2])
SCORES: dict[Task, np.ndarray] = {
    # The least certain row is the fourth, the most certain the last, which flips all the same.
    "classification": np.array([[4.0, -4.0], [-1.0, 1.0], [0.75, -0.75], [0.25, -0.25], [-5.0, 5.0]]),
    # Likeliest of three levels: 0.95, 0.66, 0.46, 0.44 and 0.99.
    "ordinal": np.array([[-3.0, -5.0], [2.5, -1.0], [1.25, -0.75], [0.5, -0.25], [5.0, 4.75]]),
}


def figures(task: Task, flips: np.ndarray = FLIPS) -> NoiseCalibration:
    """What is compared of the five rows, of which the measures say what the draws did."""
    scores = SCORES[task]
    rows = len(scores)
    link = link_of(task, scores.shape[1])
    found = diagnose(link, scores, np.zeros((rows, scores.shape[1], scores.shape[1])), np.ones(rows))
    exact = found._replace(flip_probability=flips)
    (level,) = compared(link, scores, [exact], flips[None], np.zeros((1, rows)), 0, 100, (1.0,)).noise_scales
    return level


def ordered(score: np.ndarray, positive: np.ndarray) -> float:
    """The share of pairs of a positive and a negative case that a score orders right, ties by half."""
    pairs = [
        (float(score[i] > score[j]) + 0.5 * float(score[i] == score[j]), positive[i] * (1 - positive[j]))
        for i in range(len(score))
        for j in range(len(score))
    ]
    return sum(right * weight for right, weight in pairs) / sum(weight for _, weight in pairs)


def test_the_rate_is_the_mean_share_of_flips() -> None:
    assert figures("classification").flip_rate == pytest.approx(0.79 / 5)


def test_the_rivals_figure_is_that_of_the_largest_probability() -> None:
    level = figures("classification")
    # By doubt the rows come 4, 3, 2, 1, 5: of the six pairs of a flipping row and another, 4 and 3 win theirs.
    assert level.auroc_softmax == pytest.approx(4 / 6)
    assert level.auroc == 1.0


@pytest.mark.parametrize("task", list(SCORES))
def test_every_share_of_pairs_is_counted_right(task: Task) -> None:
    level, scores = figures(task), SCORES[task]
    if task == "classification":
        largest = 1 / (1 + np.exp(-np.abs(scores[:, 0] - scores[:, 1])))
    else:
        above = 1 / (1 + np.exp(-scores))
        largest = np.maximum.reduce([1 - above[:, 0], above[:, 0] - above[:, 1], above[:, 1]])
    often = (FLIPS >= FLIPPING).astype(float)
    assert level.auroc_softmax == pytest.approx(ordered(-largest, often))
    assert level.auroc_softmax not in (0.5, 1.0)
    assert level.auroc_draws_softmax == pytest.approx(ordered(-largest, FLIPS))
    assert level.auroc_draws == level.auroc_draws_best == pytest.approx(ordered(FLIPS, FLIPS))
    assert (level.calibration_error, level.brier_skill, level.uncertain_error) == (0.0, 1.0, 0.0)
    assert level.uncertain_rows == 4


@pytest.mark.parametrize(("share", "flipping"), [(0.05, True), (0.0499, False)])
def test_a_row_flips_where_a_twentieth_of_its_draws_do(share: float, flipping: bool) -> None:
    level = figures("classification", np.array([share, 0.0, 0.0, 0.0, 0.0]))
    assert (level.auroc is not None) == flipping


def test_where_nothing_flips_there_is_nothing_to_order() -> None:
    level = figures("classification", np.zeros(5))
    assert level.flip_rate == 0.0
    assert level.auroc is level.auroc_softmax is level.auroc_draws is level.auroc_draws_softmax is None
