"""The normal law, against scipy."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from service.stability.normal import any_negative, density, tail


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


@pytest.mark.parametrize(("size", "tolerance"), [(2, 0.02), (3, 0.03), (4, 0.03)])
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


def test_the_same_quantity_several_times_is_overestimated_within_bounds() -> None:
    # The method's worst case: it takes the truncated law for a normal one. It errs on the side of caution.
    for distance in (0.0, 1.0, 2.0, 3.0):
        found = any_negative(np.full((1, 2), distance), np.ones((1, 2, 2)))[0]
        assert stats.norm.sf(distance) <= found <= 2.0 * stats.norm.sf(distance)
        assert found <= stats.norm.sf(distance) + 0.07


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
