"""The normal law for one row in plain floats: the same as for many rows at once, which is held to scipy."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from chainzrule.service.stability import normal
from chainzrule.service.stability.lone.normal import any_negative, both_above, density, tail

Floats = NDArray[np.float64]


def assert_alike(mean: Floats, covariance: Floats) -> None:
    together = normal.any_negative(mean, covariance)
    alone = [any_negative(m, C) for m, C in zip(mean.tolist(), covariance.tolist(), strict=True)]
    np.testing.assert_allclose(alone, together, rtol=1e-9, atol=1e-300)


def test_tails_and_densities_are_the_same() -> None:
    z = np.concatenate([np.linspace(-39, 39, 300), [0.0, 1e-300, 1e200, -1e200, np.inf, -np.inf]])
    np.testing.assert_allclose([tail(one) for one in z.tolist()], normal.tail(z), rtol=1e-14)
    np.testing.assert_allclose([density(one) for one in z.tolist()], normal.density(z), rtol=1e-14)


def test_two_normals_are_both_above_as_often() -> None:
    rng = np.random.default_rng(4)
    h, k = rng.normal(size=(2, 300)) * 2.5
    r = np.tanh(rng.normal(size=300) * 2)
    h[:4], k[:6], r[:8] = 0.0, [0, 0, 1, -1, 0, 0], [0.5, -0.5, 0.9, 0.9, 0.9, -0.9, 1.0, -1.0]
    h[8:12], k[10:14] = [1e30, -1e30, 1e30, -1e30], [1e30, -1e30, 1e30, -1e30]
    alone = [both_above(*values) for values in zip(h.tolist(), k.tolist(), r.tolist(), strict=True)]
    np.testing.assert_allclose(alone, normal.both_above(h, k, r), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_any_of_several_is_negative_as_often(rank: int) -> None:
    rng = np.random.default_rng(rank)
    factor = rng.normal(size=(100, 5, rank))
    covariance = factor @ factor.transpose(0, 2, 1)
    covariance[:10, 2] = covariance[:10, :, 2] = 0.0
    covariance[10:20] *= 1e-30
    sd = np.sqrt(np.einsum("nrr->nr", covariance))
    mean = np.sort(rng.normal(1.0, 1.5, size=(100, 5)), axis=1) * sd
    mean[20:30, 0] = 0.0
    assert_alike(mean, covariance)


def test_quantities_without_variance_are_certain() -> None:
    assert any_negative([1.0, 2.0], [[0.0, 0.0], [0.0, 0.0]]) == 0.0
    for at in (0, 1):
        covariance = np.zeros((2, 2))
        covariance[at, at] = 1.0
        assert any_negative([1.0, 1.0], covariance.tolist()) == pytest.approx(stats.norm.sf(1.0), rel=1e-12)


def test_extremes_are_the_same() -> None:
    mean = np.array([[0.0, 0.0, 1e30], [1e30, 1e38, 1e38], [-1e30, 1.0, 1e38], [0.0, 0.0, 0.0], [20.0, 21.0, 22.0]])
    scale = np.array([1e-300, 1e38, 1.0, 1e-320, 1.0])
    for correlation in (0.0, 0.5, 1.0 - 1e-12):
        shape = np.full((3, 3), correlation) + (1.0 - correlation) * np.eye(3)
        assert_alike(mean, shape * scale[:, None, None])


def test_arguments_are_left_alone() -> None:
    mean, covariance = [1.0, 2.0, 3.0], [[2.0, 1.0, 0.5], [1.0, 2.0, 0.5], [0.5, 0.5, 2.0]]
    any_negative(mean, covariance)
    assert (mean, covariance) == ([1.0, 2.0, 3.0], [[2.0, 1.0, 0.5], [1.0, 2.0, 0.5], [0.5, 0.5, 2.0]])
