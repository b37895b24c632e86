"""The standard deviation of the reported output: against integrals over the normal law."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from chainzrule.service.stability.link import margins
from chainzrule.service.stability.volatility import NODES, WEIGHTS, of_expected_level, of_label, of_two_labels

Floats = NDArray[np.float64]


def logistic(x: Floats | float) -> Floats | float:
    return 1.0 / (1.0 + np.exp(-np.asarray(x)))


def spread_of(output: object) -> float:
    """The standard deviation of a function of a standard normal variable."""

    def mean(power: int) -> float:
        return float(integrate.quad(lambda t: output(t) ** power * stats.norm.pdf(t), -12, 12, limit=400)[0])  # type: ignore[operator]

    return float(np.sqrt(mean(2) - mean(1) ** 2))


def test_the_rule_integrates_polynomials_exactly() -> None:
    assert WEIGHTS.sum() == pytest.approx(1.0, rel=1e-14)
    moments = [float(WEIGHTS @ NODES**power) for power in range(14)]
    np.testing.assert_allclose(moments, [stats.norm.moment(power) for power in range(14)], atol=1e-7)


@pytest.mark.parametrize("margin", [0.0, 0.5, -1.0, 3.0])
def test_of_two_labels_it_is_that_of_the_logistic_normal_law(margin: float) -> None:
    sd = np.array([0.0, 0.1, 0.5, 1.0])
    found = of_two_labels(np.full(4, margin), sd)
    assert found[0] == pytest.approx(0.0, abs=1e-15)
    expected = [spread_of(lambda t, s=s: float(logistic(margin + s * t))) for s in sd[1:]]
    np.testing.assert_allclose(found[1:], expected, rtol=2e-3)


def test_of_a_label_it_is_the_outputs_along_its_own_direction() -> None:
    """With noise of rank 1 along a direction, all that moves is one number: the integral is exact."""
    scores, direction = np.array([[1.0, 0.4, -0.5]]), np.array([0.5, -0.3, -0.2])
    label = np.zeros(1, np.int64)
    odds = np.exp(scores[0])
    p = odds / odds.sum()
    gradient = (p[0] * (np.eye(3)[0] - p))[None]
    found = of_label(margins(scores, label), np.outer(direction, direction)[None], gradient, label)

    def probability(t: float) -> float:
        moved = np.exp(scores[0] + t * direction)
        return float(moved[0] / moved.sum())

    assert found[0] == pytest.approx(spread_of(probability), rel=1e-3)


def test_of_an_expected_level_too() -> None:
    scores, sd = np.array([[1.5, 0.2, -0.7]]), 0.6
    gradient = (logistic(scores) * logistic(-scores))[None, 0]
    found = of_expected_level(scores, np.full((1, 3, 3), sd**2), np.asarray(gradient).reshape(1, 3))
    expected = spread_of(lambda t: float(np.sum(logistic(scores[0] + sd * t))))
    assert found[0] == pytest.approx(expected, rel=1e-3)


def test_without_noise_nothing_moves_and_no_warning_is_given() -> None:
    scores, label = np.array([[900.0, 0.0, -900.0], [0.0, 0.0, 0.0]]), np.zeros(2, np.int64)
    gradient = np.array([[0.0, 0.0, 0.0], [2 / 9, -1 / 9, -1 / 9]])
    still = np.zeros((2, 3, 3))
    assert of_label(margins(scores, label), still, gradient, label).tolist() == [0.0, 0.0]
    assert of_expected_level(scores, still, gradient).tolist() == [0.0, 0.0]
    assert of_two_labels(np.array([900.0]), np.array([0.0])).tolist() == [0.0]


def test_noise_that_dwarfs_the_scores_leaves_a_coins_spread() -> None:
    """Neither overflows: the probability is 0 or 1, each in half of the cases."""
    wide = np.array([1e8])
    assert of_two_labels(np.zeros(1), wide)[0] == pytest.approx(0.5 * np.sqrt(1.0 - WEIGHTS[3]), rel=1e-6)
    label = np.zeros(1, np.int64)
    gradient = np.array([[0.25, -0.25]])
    found = of_label(margins(np.zeros((1, 2)), label), np.eye(2)[None] * 1e16, gradient, label)
    assert found[0] == pytest.approx(0.5 * np.sqrt(1.0 - WEIGHTS[3]), rel=1e-6)
