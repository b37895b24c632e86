"""Which models are smooth, and at which step: functions of which the answer is known."""

import numpy as np
import pytest

from chainzrule.training.adopt.steps import AGREEMENT, STEPS, Step, choose_step, disagreement, half_jumps
from tests.training.adopt.graphs import Floats

X = np.random.default_rng(7).normal(size=(64, 3)).astype(np.float32)
STD = np.ones(3)


def bend(x: np.ndarray) -> np.ndarray:
    return np.sin(x.astype(np.float64)).astype(np.float32)


def linear(x: np.ndarray) -> np.ndarray:
    return x @ np.array([[1.0], [2.0], [-0.5]], np.float32)


def stairs(x: np.ndarray) -> np.ndarray:
    return np.floor(4 * x).astype(np.float32)


def test_a_smooth_function_is_found_smooth() -> None:
    found = choose_step(bend, X, STD, 0.1 * STD, seed=0)
    assert found.smooth
    assert found.step in STEPS
    assert found.disagreement < 1e-2
    assert found.unexplained < 0.1  # the curvature over a tenth of a standard deviation


def test_a_linear_function_is_explained_in_full_and_wants_a_wide_step() -> None:
    found = choose_step(linear, X, STD, 0.1 * STD, seed=0)
    assert found.step == STEPS[0]  # float32's rounding is least there
    assert found.disagreement < 1e-5
    assert found.unexplained < 1e-4


@pytest.mark.parametrize(("waves", "step"), [(0.01, 0.1), (0.1, 0.03), (1.0, 0.01), (100.0, 0.003)])
def test_the_finer_a_function_the_shorter_its_step(waves: float, step: float) -> None:
    found = choose_step(lambda x: bend(waves * x.astype(np.float64)), X, STD, 1e-3 * STD, seed=0)
    assert found.step == step
    assert found.smooth


def test_steps_are_in_standard_deviations() -> None:
    scale = np.array([1e-3, 1.0, 1e4])

    def scaled(x: np.ndarray) -> np.ndarray:
        return bend((x / scale).astype(np.float32))

    plain = choose_step(bend, X, STD, 0.1 * STD, seed=0)
    found = choose_step(scaled, (X * scale).astype(np.float32), scale, 0.1 * scale, seed=0)
    assert found.step == plain.step
    assert found.smooth
    assert found.disagreement == pytest.approx(plain.disagreement, rel=0.5)


def test_a_step_function_is_found_out() -> None:
    found = choose_step(stairs, X, STD, 0.1 * STD, seed=0)
    assert not found.smooth
    assert found.unexplained > 0.5


def test_a_function_that_nothing_moves_is_smooth() -> None:
    assert choose_step(lambda x: np.zeros_like(x), X, STD, 0.1 * STD, seed=0) == Step(STEPS[0], 0.0, 0.0)


def test_smooth_takes_both_figures() -> None:
    assert Step(0.1, AGREEMENT, 0.5).smooth
    assert not Step(0.1, AGREEMENT + 1e-9, 0.5).smooth
    assert not Step(0.1, AGREEMENT, 0.5 + 1e-9).smooth


def test_disagreement_is_relative_to_the_row_or_to_a_tenth_of_the_batch() -> None:
    expected = np.array([[[10.0, -2.0]], [[4.0, 1.0]], [[0.1, 0.0]]])
    off = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, -0.5]]])
    np.testing.assert_allclose(disagreement(expected + off, expected), [0.1, 0.25, 0.5])
    np.testing.assert_array_equal(disagreement(off[:1], 0 * expected[:1]), [1.0])


def test_half_jumps_are_large_at_a_kink_and_nothing_where_it_is_straight() -> None:
    def rectified(x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0)

    x = np.array([[0.0, 5.0], [0.05, -5.0]], np.float32)
    found: Floats = half_jumps(rectified, x, np.array([0.1, 0.1], np.float32))
    # Slopes of 1 to the right of 0, none to the left; at 0.05 half of the way to the left is straight.
    np.testing.assert_allclose(found[:, 0, 0], [0.5, 0.25], rtol=1e-5)
    np.testing.assert_allclose(found[:, :, 1], 0, atol=1e-5)
    np.testing.assert_allclose(found[:, 1, 0], 0, atol=1e-5)
    assert half_jumps(rectified, x, np.array([0.1, 0.0], np.float32))[..., 1].max() == 0
