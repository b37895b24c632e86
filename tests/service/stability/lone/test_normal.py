"""The normal law in plain floats: the arrays' law, and scipy's."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from chainzrule.service.stability import normal
from chainzrule.service.stability.lone.normal import any_negative, both_above, density, tail


def random_covariance(rng: np.random.Generator, size: int, rank: int) -> NDArray[np.float64]:
    factor = rng.normal(size=(size, rank))
    return np.asarray(factor @ factor.T)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_one_row_in_plain_floats_is_the_same(rank: int) -> None:
    rng = np.random.default_rng(rank)
    covariance = np.stack([random_covariance(rng, 5, rank) for _ in range(100)])
    covariance[:10, 2] = covariance[:10, :, 2] = 0.0
    sd = np.sqrt(np.einsum("nrr->nr", covariance))
    mean = np.sort(rng.normal(1.0, 1.5, size=(100, 5)), axis=1) * sd
    mean[10:20, 0] = 0.0
    together = normal.any_negative(mean, covariance)
    alone = [any_negative(m, C) for m, C in zip(mean.tolist(), covariance.tolist(), strict=True)]
    np.testing.assert_allclose(alone, together, rtol=1e-9)


def test_tails_and_densities_are_scipys() -> None:
    for z in np.linspace(-8, 37, 200).tolist():
        assert tail(z) == pytest.approx(stats.norm.sf(z), rel=1e-12)
        assert density(z) == pytest.approx(stats.norm.pdf(z), rel=1e-12)
    assert (tail(math.inf), tail(-math.inf), density(1e200), density(-1e200)) == (0.0, 1.0, 0.0, 0.0)


def test_two_normals_are_both_above_as_often_as_in_a_batch_and_as_scipy_says() -> None:
    rng = np.random.default_rng(3)
    h, k = rng.normal(size=(2, 300)) * 2.5
    r = np.tanh(rng.normal(size=300) * 2)
    h[:6], k[:6], r[:4] = [0, 0, 0, 1, -1, 2], [0, 1, -1, 0, 0, 2], [0.0, 0.5, -0.5, 0.9]
    found = [both_above(*one) for one in zip(h.tolist(), k.tolist(), r.tolist(), strict=True)]
    np.testing.assert_allclose(found, normal.both_above(h, k, r), rtol=1e-9, atol=1e-15)
    expected = [stats.multivariate_normal.cdf([-a, -b], cov=[[1, c], [c, 1]]) for a, b, c in zip(h, k, r, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-11)


def test_independent_quantities_multiply_and_tiny_chances_keep_their_digits() -> None:
    unit = np.eye(3).tolist()
    assert any_negative([0.5, 1.0, 2.0], unit) == pytest.approx(1.0 - np.prod(stats.norm.cdf([0.5, 1, 2])), rel=1e-10)
    assert any_negative([10.0, 12.0, 40.0], unit) == pytest.approx(stats.norm.sf(10.0), rel=1e-9)


def test_the_same_quantity_several_times_counts_once() -> None:
    assert any_negative([1.0] * 4, np.ones((4, 4)).tolist()) == pytest.approx(stats.norm.sf(1.0), rel=1e-6)


def test_quantities_without_variance_are_certain() -> None:
    assert any_negative([1.0, 2.0], np.zeros((2, 2)).tolist()) == 0.0
    assert any_negative([1.0, 5.0], np.diag([1.0, 0.0]).tolist()) == pytest.approx(stats.norm.sf(1.0), rel=1e-12)


def test_arguments_are_left_alone() -> None:
    mean, covariance = [1.0, 2.0, 3.0], [[2.0, 1.0, 0.5], [1.0, 2.0, 0.5], [0.5, 0.5, 1.0]]
    kept = mean.copy(), [row.copy() for row in covariance]
    any_negative(mean, covariance)
    assert (mean, covariance) == kept
