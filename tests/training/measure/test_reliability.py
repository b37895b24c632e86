"""Figures of stated chances, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from chainzrule.training.measure.reliability import auroc, brier_skill, calibration_error, reliability, uncertain_error


def test_the_area_is_scikit_learns_with_ties_and_weights() -> None:
    random = np.random.default_rng(0)
    score, positives, negatives = random.integers(0, 9, 200) / 8, random.integers(0, 5, 200), random.integers(0, 5, 200)
    labels = np.repeat([1, 0], 200)
    expected = roc_auc_score(labels, np.tile(score, 2), sample_weight=np.concatenate([positives, negatives]))
    assert auroc(score, positives.astype(float), negatives.astype(float)) == pytest.approx(expected)
    assert auroc(score, np.zeros(200), np.ones(200)) is None


def test_bins_hold_every_row_once() -> None:
    stated = np.array([0.0, 0.01, 0.5, 1.0])
    seen = np.array([0.0, 0.05, 0.4, 1.0])
    assert reliability(stated, seen) == [(2, 0.005, 0.025), (1, 0.5, 0.4), (1, 1.0, 1.0)]
    assert calibration_error(stated, seen) == pytest.approx((2 * 0.02 + 0.1) / 4)


def test_skill_is_one_where_right_and_nought_for_the_mean() -> None:
    seen = np.array([0.0, 0.1, 0.5, 0.9])
    assert brier_skill(seen, seen) == 1.0
    assert brier_skill(np.full(4, seen.mean()), seen) == pytest.approx(0.0)
    assert brier_skill(seen, np.full(4, 0.2)) is None


def test_only_rows_that_could_go_either_way_are_uncertain() -> None:
    seen = np.array([0.0, 0.01, 0.02, 0.98, 0.99, 1.0])
    assert uncertain_error(np.full(6, 0.5), seen) == (2, pytest.approx(0.48))
    assert uncertain_error(np.zeros(2), np.zeros(2)) == (0, None)
