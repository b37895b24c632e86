"""Volatility against integrals of the law that it speaks of, against closed forms, and against draws."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, special, stats

from chainzrule.service.stability import volatility
from chainzrule.service.stability.link import link_of, margins, sigmoid

Floats = NDArray[np.float64]


def deviation_of(output: Callable[[float], float]) -> float:
    """The standard deviation of a function of a standard normal variable, by adaptive quadrature."""

    def mean(power: Callable[[float], float]) -> float:
        found: float = integrate.quad(lambda t: power(t) * stats.norm.pdf(t), -12, 12, epsabs=1e-14, limit=400)[0]
        return found

    middle = mean(output)
    return float(np.sqrt(mean(lambda t: (output(t) - middle) ** 2)))


def of_label(scores: Floats, C: Floats) -> Floats:
    """The volatility of the largest score's probability."""
    reading = link_of("classification", 3).read(scores)
    return volatility.of_label(margins(scores, reading.label), C, reading.gradient, reading.label)


@pytest.mark.parametrize("sd", [0.01, 0.3, 0.8])
@pytest.mark.parametrize("margin", [-1.0, 0.0, 2.0, 6.0])
def test_two_labels_follow_the_logistic_of_a_normal(margin: float, sd: float) -> None:
    found = volatility.of_two_labels(np.array([margin]), np.array([sd]))
    assert found[0] == pytest.approx(deviation_of(lambda t: float(special.expit(-margin - sd * t))), rel=2e-3)


@pytest.mark.parametrize("sd", [2.1, 5.0, 17.0, 60.0])
@pytest.mark.parametrize("distance", [0.0, 0.7, 2.0, 3.0])
def test_steep_outputs_are_followed_as_well(distance: float, sd: float) -> None:
    margin = distance * sd

    def mean(power: int) -> float:
        def at(t: float) -> float:
            return float(special.expit(-margin - sd * t) ** power * stats.norm.pdf(t))

        step = -distance
        return float(integrate.quad(at, -12, 12, points=[step - 5 / sd, step, step + 5 / sd], limit=800)[0])

    truth = np.sqrt(mean(2) - mean(1) ** 2)
    found = volatility.of_two_labels(np.array([margin, 1.0]), np.array([sd, 0.1]))
    assert found[0] == pytest.approx(truth, rel=2e-3)
    assert found[1] == volatility.of_two_labels(np.array([1.0]), np.array([0.1]))[0]
    three = of_label(np.array([[margin, 0.0, -9e3]]), np.diag([sd**2, 0.0, 0.0])[None])
    assert three[0] == pytest.approx(truth, rel=2e-3)


@pytest.mark.parametrize("margin", [40.0, 200.0])
def test_what_is_missing_to_certainty_keeps_its_digits(margin: float) -> None:
    # For so small an odds ratio the law is lognormal.
    sd = 0.1
    truth = np.exp(-margin + sd**2 / 2) * np.sqrt(np.expm1(sd**2))
    found = volatility.of_two_labels(np.array([margin]), np.array([sd]))
    assert found[0] == pytest.approx(truth, rel=1e-6)
    v = np.array([sd, 0.0, 0.0])
    assert of_label(np.array([[margin, 0.0, -500.0]]), np.outer(v, v)[None])[0] == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("size", [0.05, 0.4])
def test_a_labels_probability_follows_the_one_direction_that_moves_it(size: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        scores, v = rng.normal(size=3), size * rng.normal(size=3)
        label = int(scores.argmax())
        truth = deviation_of(lambda t, s=scores, v=v, label=label: float(special.softmax(s + t * v)[label]))
        assert of_label(scores[None], np.outer(v, v)[None])[0] == pytest.approx(truth, rel=5e-3)


def test_rows_with_noise_in_every_direction_vary_as_draws_do() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(12, 3))
    factor = 0.15 * rng.normal(size=(12, 3, 3))
    found = of_label(scores, factor @ factor.transpose(0, 2, 1))
    for row in range(12):
        moved = scores[row] + rng.normal(size=(60_000, 3)) @ factor[row].T
        truth = special.softmax(moved, axis=1)[:, scores[row].argmax()].std()
        assert found[row] == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize("sd", [0.05, 0.5])
@pytest.mark.parametrize("f", [-2.0, 0.3, 1.5])
def test_an_expected_level_follows_the_one_normal_f(f: float, sd: float) -> None:
    scores = np.array([[f + 1.0, f, f - 1.0]])
    gradient = sigmoid(scores) * sigmoid(-scores)
    found = volatility.of_expected_level(scores, np.full((1, 3, 3), sd**2), gradient)
    truth = deviation_of(lambda t: float(special.expit(scores[0] + sd * t).sum()))
    assert found[0] == pytest.approx(truth, rel=1e-3)


def test_little_noise_gives_the_delta_rule() -> None:
    scores = np.array([[1.0, 0.2, -1.2]])
    factor = np.random.default_rng(3).normal(size=(3, 4))
    C = 1e-8 * (factor @ factor.T)[None]
    for link in (link_of("classification", 3), link_of("ordinal", 3)):
        reading = link.read(scores)
        delta = np.sqrt(reading.gradient[0] @ C[0] @ reading.gradient[0])
        if link.task == "ordinal":
            found = volatility.of_expected_level(scores, C, reading.gradient)
        else:
            found = of_label(scores, C)
        assert found[0] == pytest.approx(delta, rel=1e-6)


def test_without_noise_nothing_varies_and_neighbours_do() -> None:
    scores = np.array([[1.0, 0.0, -1.0], [1.0, 0.0, -1.0]])
    C = np.stack([np.zeros((3, 3)), np.eye(3)])
    found = of_label(scores, C)
    assert found[0] == 0.0
    assert found[1] > 0.1
    gradient = link_of("ordinal", 3).read(scores).gradient
    levels = volatility.of_expected_level(scores, np.stack([np.full((3, 3), -1e-9), np.ones((3, 3))]), gradient)
    assert levels[0] == 0.0  # a covariance that rounding made negative
    assert levels[1] > 0.1
    np.testing.assert_allclose(volatility.of_two_labels(np.ones(1), np.zeros(1)), 0.0, atol=1e-15)


def test_the_rule_has_seven_points_and_is_exact_as_far_as_those_can_be() -> None:
    """Each point is a run through the link for every row, so that more of them would cost time."""
    assert len(volatility.USUAL.nodes) == len(volatility.USUAL.weights) == 7
    for power in range(14):
        moment = volatility.USUAL.weights @ volatility.USUAL.nodes**power
        assert moment == pytest.approx(stats.norm.moment(power), rel=1e-9, abs=1e-9)
