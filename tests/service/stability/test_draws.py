"""Measures and differences by further rows, against closed forms and against counting one by one."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.stability.differences import central_differences
from chainzrule.service.stability.draws import Moved, NoiseDraws, Run
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.noise import Confusion, Noise, Together, root_of

NOISE = np.array([0.5, 0.0, 0.2])
TWO_LABELS, NUMBER = link_of("classification", 2), link_of("regression", 1)


def step(features: NDArray[np.float32]) -> Moved:
    """A stump: certain of label 1 where the first feature is positive, else 60 to 40 for label 0."""
    p = np.where(features[:, :1] > 0, 1.0 - 1e-6, 0.4)
    probabilities = np.concatenate([1.0 - p, p], axis=1).astype(np.float32)
    return Moved(np.log(probabilities), probabilities)


def test_a_stump_is_counted() -> None:
    draws = NoiseDraws(Noise(NOISE), 2000, seed=1)
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
    draws = NoiseDraws(Noise(NOISE), 20_000, seed=2)
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
    found = NoiseDraws(Noise(np.full(40, 0.1)), 512, seed=3).measure(NUMBER, plane, rows, np.ones(3))
    np.testing.assert_allclose(found.slope, np.tile(weights[:, 0], (3, 1)), atol=1e-4)
    np.testing.assert_allclose(found.jacobian[:, 0], found.slope, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.diagnosis.volatility, np.sqrt(found.covariance[:, 0, 0]), rtol=1e-5)


def test_no_noise_moves_nothing() -> None:
    found = NoiseDraws(Noise(np.zeros(3)), 64, seed=0).measure(
        TWO_LABELS, step, np.zeros((2, 3), np.float32), np.ones(2)
    )
    assert found.diagnosis.volatility.tolist() == [0.0, 0.0]
    assert found.diagnosis.flip_probability.tolist() == [0.0, 0.0]
    assert not found.slope.any()


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(4).normal(size=(5, 3)).astype(np.float32)
    draws = NoiseDraws(Noise(NOISE), 64, seed=5)
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


def linear(weights: np.ndarray) -> Run:
    """A regression that is a plane."""
    return lambda rows: Moved((rows @ weights[:, None]).astype(np.float32), None)


def test_correlated_noise_moves_a_plane_as_its_covariance_says() -> None:
    correlation = np.array([[1.0, -0.8], [-0.8, 1.0]])
    noise = Noise(np.array([0.5, 0.0, 2.0]), together=(Together(np.array([0, 2]), root_of(correlation)),))
    weights = np.array([1.0, 5.0, 1.0], np.float32)
    found = NoiseDraws(noise, 20_000, seed=1).measure(NUMBER, linear(weights), np.zeros((1, 3), np.float32), np.ones(1))
    expected = np.sqrt(0.25 + 4.0 - 2 * 0.8 * 0.5 * 2.0)
    assert found.diagnosis.volatility[0] == pytest.approx(expected, rel=0.02)
    np.testing.assert_allclose(found.slope, [[1.0, 0.0, 1.0]], rtol=1e-4)


@pytest.mark.parametrize(("law", "freedom"), [("uniform", np.inf), ("t", 5.0)])
def test_other_laws_are_drawn_with_the_same_size(law: Any, freedom: float) -> None:
    noise = Noise(np.array([0.5]), law=law, degrees_of_freedom=freedom)
    drawn = NoiseDraws(noise, 40_000, seed=1)
    assert drawn.standard.std() == pytest.approx(1.0, rel=0.03)
    assert (np.abs(drawn.standard).max() < 1.74) == (law == "uniform")


def test_shares_and_bounds_are_those_of_the_row() -> None:
    noise = Noise(np.zeros(2), share=np.array([0.1, 0.0]), least=np.array([1.0, -np.inf]), most=np.full(2, np.inf))
    rows = np.array([[10.0, 0.0], [0.0, 0.0], [1.0, 0.0]], np.float32)
    weights = np.array([1.0, 1.0], np.float32)
    found = NoiseDraws(noise, 20_000, seed=1).measure(NUMBER, linear(weights), rows, np.ones(3))
    # A value of 0 has no noise of its own; at its bound a value only rises: half a normal law, less its mean.
    np.testing.assert_allclose(found.diagnosis.volatility, [1.0, 0.0, 0.1 * np.sqrt(0.5 - 0.5 / np.pi)], atol=0.02)


def test_levels_are_confused_as_often_as_the_card_says() -> None:
    confusion = Confusion(1, np.array([[0.9, 0.1], [0.3, 0.7]]))
    noise = Noise(np.array([1.0, 0.0, 0.0]), confusions=(confusion,))
    rows = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], np.float32)
    weights = np.array([0.0, 1.0, 0.0], np.float32)
    found = NoiseDraws(noise, 20_000, seed=1).measure(NUMBER, linear(weights), rows, np.array([1.0, 2.0]))
    expected = np.sqrt(np.array([0.1 * 0.9, 0.6 * 0.4]))
    np.testing.assert_allclose(found.diagnosis.volatility, expected, rtol=0.03)
