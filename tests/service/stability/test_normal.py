"""The normal law, against scipy."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from chainzrule.service.stability.normal import any_negative, both_above, density, tail


def random_covariance(rng: np.random.Generator, size: int, rank: int) -> NDArray[np.float64]:
    factor = rng.normal(size=(size, rank))
    return np.asarray(factor @ factor.T)


def test_tails_are_scipys_to_full_relative_precision() -> None:
    z = np.concatenate([np.linspace(-8, 37, 2000), [0.0, 1e-300]])
    # A rounding of z itself moves the tail by z^2 times as much: no function does better.
    error = np.abs(tail(z) / stats.norm.sf(z) - 1.0)
    assert (error <= 1e-15 + 4e-16 * np.square(z)).all()


def test_tails_end_in_zero_and_one() -> None:
    assert tail(np.array([np.inf, 1e300, -np.inf, -1e300])).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_density_is_scipys_and_never_overflows() -> None:
    z = np.linspace(-38, 38, 500)
    np.testing.assert_allclose(density(z), stats.norm.pdf(z), rtol=1e-12)
    assert density(np.array([1e200, -1e200])).tolist() == [0.0, 0.0]


def test_one_quantity_is_exact() -> None:
    mean = np.array([[0.0], [3.0], [-2.0], [30.0]])
    variance = np.array([4.0, 1.0, 9.0, 1.0])[:, None, None]
    expected = stats.norm.sf(mean[:, 0] / np.sqrt(variance[:, 0, 0]))
    np.testing.assert_allclose(any_negative(mean, variance), expected, rtol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_independent_quantities_multiply(size: int) -> None:
    rng = np.random.default_rng(size)
    mean = np.sort(rng.uniform(0, 3, size=(50, size)), axis=1)
    covariance = np.tile(np.eye(size), (50, 1, 1))
    expected = 1.0 - np.prod(stats.norm.cdf(mean), axis=1)
    np.testing.assert_allclose(any_negative(mean, covariance), expected, rtol=1e-10)


def test_tiny_chances_keep_their_precision() -> None:
    mean = np.array([[10.0, 12.0]])
    found = any_negative(mean, np.eye(2)[None])
    np.testing.assert_allclose(found, stats.norm.sf(10.0) + stats.norm.sf(12.0), rtol=1e-12)


def test_two_normals_are_both_above_as_often_as_scipy_says() -> None:
    rng = np.random.default_rng(3)
    h, k = rng.normal(size=(2, 400)) * 2.5
    correlation = np.tanh(rng.normal(size=400) * 2)
    h[:6], k[:6], correlation[:4] = [0, 0, 0, 1, -1, 2], [0, 1, -1, 0, 0, 2], [0.0, 0.5, -0.5, 0.9]
    expected = [
        stats.multivariate_normal.cdf([-a, -b], cov=[[1, r], [r, 1]]) for a, b, r in zip(h, k, correlation, strict=True)
    ]
    np.testing.assert_allclose(both_above(h, k, correlation), expected, atol=1e-11)


def test_a_normal_and_itself_or_its_opposite_are_both_above_exactly() -> None:
    h, k = np.array([-1.0, 0.0, 0.5, 3.0, 3.0]), np.array([1.0, 0.0, 0.5, 3.0, -3.0])
    np.testing.assert_allclose(both_above(h, k, np.ones(5)), tail(np.maximum(h, k)), rtol=1e-6)
    np.testing.assert_allclose(both_above(h, k, -np.ones(5)), np.maximum(tail(h) - tail(-k), 0.0), atol=1e-8)


@pytest.mark.parametrize(("size", "tolerance"), [(2, 1e-8), (3, 0.008), (4, 0.012)])
def test_correlated_quantities_agree_with_scipy(size: int, tolerance: float) -> None:
    rng = np.random.default_rng(10 + size)
    for _ in range(25):
        covariance = random_covariance(rng, size, size) + 0.1 * np.eye(size)
        sd = np.sqrt(np.diag(covariance))
        mean = np.sort(rng.uniform(0.2, 2.5, size=size)) * sd
        exact = 1.0 - stats.multivariate_normal.cdf(np.zeros(size), mean=-mean, cov=covariance, rng=rng)
        assert any_negative(mean[None], covariance[None])[0] == pytest.approx(exact, abs=tolerance)


def test_the_chance_lies_between_its_bounds_whatever_the_rank() -> None:
    rng = np.random.default_rng(5)
    for rank in (1, 2, 6):
        covariance = np.stack([random_covariance(rng, 6, rank) for _ in range(200)])
        sd = np.sqrt(np.einsum("nrr->nr", covariance))
        distance = np.sort(rng.uniform(0, 4, size=(200, 6)), axis=1)
        chance = any_negative(distance * sd, covariance)
        single = tail(distance)
        assert (chance >= single.max(axis=1) - 1e-12).all()
        assert (chance <= np.minimum(single.sum(axis=1), 1.0) + 0.05).all()


@pytest.mark.parametrize("size", [2, 3, 9])
def test_the_same_quantity_several_times_counts_once(size: int) -> None:
    for distance in (0.0, 1.0, 2.0, 3.0):
        found = any_negative(np.full((1, size), distance), np.ones((1, size, size)))[0]
        assert found == pytest.approx(stats.norm.sf(distance), rel=1e-6)


def test_quantities_that_hang_on_one_direction_alone_are_an_interval() -> None:
    # The case that conditioning by itself is worst at: off by up to 0.08 here.
    rng = np.random.default_rng(6)
    errors = []
    for _ in range(200):
        slope = rng.normal(size=9)
        mean = np.sort(rng.uniform(0.5, 3, size=9)) * np.abs(slope)
        low, high = (-mean / slope)[slope > 0].max(initial=-np.inf), (-mean / slope)[slope < 0].min(initial=np.inf)
        exact = 1.0 - max(stats.norm.cdf(high) - stats.norm.cdf(low), 0.0)
        errors.append(any_negative(mean[None], np.outer(slope, slope)[None])[0] - exact)
    assert np.abs(errors).max() <= 0.02
    assert np.abs(errors).mean() <= 0.002


def test_quantities_without_variance_are_certain() -> None:
    assert any_negative(np.array([[1.0, 2.0]]), np.zeros((1, 2, 2))).tolist() == [0.0]
    one = any_negative(np.array([[1.0, 5.0]]), np.diag([1.0, 0.0])[None])
    assert one[0] == pytest.approx(stats.norm.sf(1.0), rel=1e-12)


def test_extreme_means_and_scales_are_finite() -> None:
    mean = np.array([[0.0, 0.0, 1e30], [1e30, 1e38, 1e38], [0.0, 0.0, 0.0], [0.0, 5.0, 5.0]])
    scale = np.array([1e-300, 1e38, 1e-320, 1e-318])
    covariance = np.eye(3)[None] * scale[:, None, None]
    chance = any_negative(mean, covariance)
    assert np.isfinite(chance).all()
    assert ((chance >= 0) & (chance <= 1)).all()


def test_arguments_are_left_alone() -> None:
    mean, covariance = np.array([[1.0, 2.0]]), np.array([[[2.0, 1.0], [1.0, 2.0]]])
    kept = mean.copy(), covariance.copy()
    any_negative(mean, covariance)
    np.testing.assert_array_equal(mean, kept[0])
    np.testing.assert_array_equal(covariance, kept[1])
