"""Measures and differences by further rows, against closed forms and against counting one by one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.stability.differences import central_differences
from chainzrule.service.stability.draws import Moved, NoiseDraws
from chainzrule.service.stability.link import link_of

NOISE = np.array([0.5, 0.0, 0.2])
TWO_LABELS, NUMBER = link_of("classification", 2), link_of("regression", 1)


def step(features: NDArray[np.float32]) -> Moved:
    """A stump: certain of label 1 where the first feature is positive, else 60 to 40 for label 0."""
    p = np.where(features[:, :1] > 0, 1.0 - 1e-6, 0.4)
    probabilities = np.concatenate([1.0 - p, p], axis=1).astype(np.float32)
    return Moved(np.log(probabilities), probabilities)


def test_a_stump_is_counted() -> None:
    draws = NoiseDraws(NOISE, 2000, seed=1)
    rows = np.array([[0.25, 1.0, 0.0], [-0.25, 1.0, 0.0], [9.0, 0.0, 0.0]], np.float32)
    found = draws.measure(TWO_LABELS, step, rows, np.array([1.0, 2.0, 1.0])).diagnosis
    crossing = [
        np.mean(0.25 + 0.5 * draws.standard[:, 0] <= 0),
        np.mean(-0.25 + 1.0 * draws.standard[:, 0] > 0),
        0.0,
    ]
    np.testing.assert_allclose(found.flip_probability, crossing, atol=1e-12)
    height = 0.6 - 1e-6
    np.testing.assert_allclose(
        found.volatility, [height * np.sqrt(p * (1 - p) * 2000 / 1999) for p in crossing], rtol=1e-5, atol=1e-7
    )
    assert found.label.tolist() == [1, 0, 1]
    assert found.runner_up.tolist() == [0, 1, 0]
    assert np.isinf(found.flip_distance).all()


def test_slopes_are_those_of_the_smoothed_step() -> None:
    draws = NoiseDraws(NOISE, 20_000, seed=2)
    found = draws.measure(TWO_LABELS, step, np.array([[0.25, 1.0, 0.0]], np.float32), np.ones(1))
    density = np.exp(-0.5 * 0.5**2) / np.sqrt(2 * np.pi) / 0.5
    # Of the label's own probability, which the step raises by 0.6.
    np.testing.assert_allclose(found.slope[0], [0.6 * density, 0.0, 0.0], atol=0.03)
    assert found.slope[0, 1] == 0.0  # a column without noise says nothing


def test_slopes_of_a_plane_are_exact() -> None:
    weights = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)

    def plane(features: NDArray[np.float32]) -> Moved:
        return Moved(features @ weights[:, :1], None)

    rows = np.random.default_rng(1).normal(size=(3, 40)).astype(np.float32)
    found = NoiseDraws(np.full(40, 0.1), 512, seed=3).measure(NUMBER, plane, rows, np.ones(3))
    np.testing.assert_allclose(found.slope, np.tile(weights[:, 0], (3, 1)), atol=1e-4)
    np.testing.assert_allclose(found.jacobian[:, 0], found.slope, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.diagnosis.volatility, np.sqrt(found.covariance[:, 0, 0]), rtol=1e-5)


def test_no_noise_moves_nothing() -> None:
    found = NoiseDraws(np.zeros(3), 64, seed=0).measure(TWO_LABELS, step, np.zeros((2, 3), np.float32), np.ones(2))
    assert found.diagnosis.volatility.tolist() == [0.0, 0.0]
    assert found.diagnosis.flip_probability.tolist() == [0.0, 0.0]
    assert not found.slope.any()


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(4).normal(size=(5, 3)).astype(np.float32)
    draws = NoiseDraws(NOISE, 64, seed=5)
    steps = np.array([0.1, 0.2], np.float32)

    def both() -> tuple[NDArray[np.floating], ...]:
        drawn = draws.measure(TWO_LABELS, step, rows, np.ones(5))
        slopes = central_differences(lambda x: x**2, rows, np.array([0, 2]), steps)
        return drawn.slope, drawn.covariance, drawn.diagnosis.flip_probability, slopes

    whole = both()
    monkeypatch.setattr("chainzrule.service.stability.draws.CHUNK", 1)
    monkeypatch.setattr("chainzrule.service.stability.differences.CHUNK", 1)
    for part, expected in zip(both(), whole, strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-6, atol=1e-12)


def test_differences_of_a_square_are_its_slope() -> None:
    rows = np.array([[1.0, 2.0, -3.0], [0.0, 5.0, 0.5]], np.float32)
    found = central_differences(lambda x: x**2, rows, np.array([0, 2]), np.array([0.1, 0.2], np.float32))
    expected = np.zeros((2, 3, 3))
    expected[:, [0, 2], [0, 2]] = 2 * rows[:, [0, 2]]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
