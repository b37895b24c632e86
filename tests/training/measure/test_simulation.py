"""Rows run again with noise, against a model of which the truth is known."""

import numpy as np
import pytest
from scipy import stats

from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.noise import Noise
from chainzrule.training.measure import simulation
from chainzrule.training.measure.simulation import NOISE_SCALES, Simulation, choose_rows, simulate


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


@pytest.mark.parametrize(("values", "runs"), [(1, 7), (60, 7), (130, 4), (10_000, 1)])
def test_rows_are_run_in_parts_of_a_bounded_size(values: int, runs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row takes 20 draws of three values each; where even one is too much, rows come one by one."""
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    sizes: list[int] = []

    def scores(rows: np.ndarray) -> np.ndarray:
        sizes.append(len(rows))
        return np.stack([rows.sum(axis=1), np.zeros(len(rows))], axis=1)

    def run() -> tuple[np.ndarray, np.ndarray]:
        return simulate(link_of("classification", 2), scores, x, Noise(np.full(3, 0.5)), seed=1, draws=20)

    expected = run()
    sizes.clear()
    monkeypatch.setattr(simulation, "CHUNK", values)
    for found, whole in zip(run(), expected, strict=True):
        np.testing.assert_array_equal(found, whole)
    assert len(sizes) == runs * (1 + len(NOISE_SCALES))
    assert max(sizes) * 3 <= max(values, 60)
