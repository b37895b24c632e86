"""Rows run again with noise, against a model of which the truth is known."""

import numpy as np
from scipy import stats

from chainzrule.training.measure.simulation import NOISE_SCALES, Simulation, choose_rows


def test_draws_flip_labels_as_often_as_theory_says(linear: Simulation) -> None:
    margin = np.abs(linear.scores[:, 0] - linear.scores[:, 1])
    for flips, scale in zip(linear.flips, NOISE_SCALES, strict=True):
        expected = stats.norm.sf(margin / (0.2 * scale))
        z = (flips - expected) / np.sqrt(np.maximum(expected * (1 - expected), 1e-4) / 400)
        assert np.abs(z).max() < 5
        assert 0.6 < np.sqrt((z[expected > 0.01] ** 2).mean()) < 1.5


def test_wide_and_many_rows_are_bounded() -> None:
    assert choose_rows(100, 5, 2000, 1).tolist() == list(range(100))
    assert len(choose_rows(10_000, 784, 2000, 1)) == 2000
    assert len(choose_rows(10_000, 150_528, 2000, 1)) == 50
    assert np.array_equal(choose_rows(10_000, 784, 2000, 1), choose_rows(10_000, 784, 2000, 1))
    assert not np.array_equal(choose_rows(10_000, 784, 2000, 1), choose_rows(10_000, 784, 2000, 2))
