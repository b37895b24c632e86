"""Central differences of known functions."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.stability import differences
from chainzrule.service.stability.differences import central_differences

Matrix = NDArray[np.float32]
ROWS = np.random.default_rng(9).normal(size=(7, 3)).astype(np.float32)
STEPS = np.array([0.125, 0.25], dtype=np.float32)  # exact in float32
EACH = np.array([0, 2])


def quadratic(x: Matrix) -> Matrix:
    """(rows, 2): central differences of a quadratic are its derivative, whatever the step."""
    return np.stack([x[:, 0] ** 2 + x[:, 1] * x[:, 2], 3.0 * x[:, 2] - x[:, 0]], axis=1).astype(np.float32)


def test_a_quadratics_differences_are_its_derivative() -> None:
    found = central_differences(quadratic, ROWS, EACH, STEPS)
    zero, one = np.zeros(7), np.ones(7)
    expected = np.stack(
        [np.stack([2.0 * ROWS[:, 0], zero, ROWS[:, 1]], axis=1), np.stack([-one, zero, 3.0 * one], axis=1)], axis=1
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_cubics_error_is_the_square_of_the_step() -> None:
    found = central_differences(lambda x: x[:, :1] ** 3, ROWS, EACH, STEPS)
    np.testing.assert_allclose(found[:, 0, 0] - 3.0 * ROWS[:, 0] ** 2, STEPS[0] ** 2, rtol=1e-3)


def test_every_column_goes_its_own_step_to_both_sides_and_the_others_stay() -> None:
    seen: list[Matrix] = []

    def watched(x: Matrix) -> Matrix:
        seen.append(x)
        return x[:, :1]

    central_differences(watched, ROWS[:1], EACH, STEPS)
    moved = seen[0] - ROWS[0]
    np.testing.assert_allclose(moved, [[0.125, 0, 0], [0, 0, 0.25], [-0.125, 0, 0], [0, 0, -0.25]], atol=1e-6)


def test_the_step_is_measured_as_float32_took_it() -> None:
    far = np.array([[1e6, 0.0]], dtype=np.float32)  # where float32 moves in steps of 1/16
    step = np.array([0.1], dtype=np.float32)
    found = central_differences(lambda x: x[:, :1] - np.float32(1e6), far, np.array([0]), step)
    assert found[0, 0, 0] == pytest.approx(1.0, rel=1e-6)
    nowhere = central_differences(lambda x: x[:, :1], far * 100, np.array([0]), step)
    assert np.isnan(nowhere[0, 0, 0])


@pytest.mark.parametrize("values", [1, 12, 24, 30, 1000])
def test_rows_are_run_in_parts_of_a_bounded_size(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row takes two runs a column of three values each, twelve in all."""
    expected = central_differences(quadratic, ROWS, EACH, STEPS)
    monkeypatch.setattr(differences, "CHUNK", values)
    sizes: list[int] = []

    def watched(x: Matrix) -> Matrix:
        sizes.append(x.size)
        return quadratic(x)

    np.testing.assert_array_equal(central_differences(watched, ROWS, EACH, STEPS), expected)
    assert max(sizes) <= max(values, 12)
    assert len(sizes) == {1: 7, 12: 7, 24: 4, 30: 4, 1000: 1}[values]


def test_what_overflows_is_not_finite_and_no_warning() -> None:
    with np.errstate(over="ignore"):
        found = central_differences(
            lambda x: np.exp(1000.0 * x[:, :1]).astype(np.float32), ROWS[:, :1] + 1, EACH[:1], STEPS[:1]
        )
    assert not np.isfinite(found).all()
