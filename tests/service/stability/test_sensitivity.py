"""Sensitivities: the chain rule, effects per sigma and shares of variance."""

import numpy as np
import pytest

from chainzrule.service.stability.noise import Noise, Together, root_of
from chainzrule.service.stability.sensitivity import sensitivity


def test_effects_and_shares() -> None:
    gradient = np.array([[1.0, -1.0]])
    jacobian = np.array([[[2.0, 0.0, 1.0], [0.0, 3.0, 1.0]]], dtype=np.float32)
    found = sensitivity(gradient, jacobian, Noise(np.array([0.5, 1.0, 9.0])), np.array([2.0]), np.zeros((1, 3)))
    assert found.gradient.tolist() == [[2.0, -3.0, 0.0]]
    assert found.effect.tolist() == [[2.0, -6.0, 0.0]]
    np.testing.assert_allclose(found.share, [[4 / 40, 36 / 40, 0.0]])


def test_shares_add_up_and_effects_to_the_delta_rule() -> None:
    rng = np.random.default_rng(0)
    gradient, jacobian = rng.normal(size=(20, 4)), rng.normal(size=(20, 4, 6)).astype(np.float32)
    noise, scale = rng.uniform(0, 1, size=6), rng.uniform(0.1, 10, size=20)
    found = sensitivity(gradient, jacobian, Noise(noise), scale, np.zeros((20, 6)))
    np.testing.assert_allclose(found.share.sum(axis=1), 1.0)
    covariance = np.einsum("nsd,d,ntd->nst", jacobian, noise**2, jacobian) * (scale**2)[:, None, None]
    delta = np.einsum("ns,nst,nt->n", gradient, covariance, gradient)
    np.testing.assert_allclose((found.effect**2).sum(axis=1), delta, rtol=1e-6)


@pytest.mark.parametrize("zero", ["gradient", "jacobian", "noise"])
def test_where_nothing_varies_all_shares_are_zero(zero: str) -> None:
    parts = {"gradient": np.ones((2, 3)), "jacobian": np.ones((2, 3, 4), np.float32), "noise": np.ones(4)}
    parts[zero] = parts[zero] * 0
    found = sensitivity(parts["gradient"], parts["jacobian"], Noise(parts["noise"]), np.ones(2), np.zeros((2, 4)))
    assert found.share.tolist() == [[0.0] * 4] * 2
    assert found.effect.tolist() == [[0.0] * 4] * 2


def test_huge_derivatives_are_finite() -> None:
    noise, jacobian = Noise(np.array([1e38, 1.0])), np.full((1, 1, 2), 3e38, np.float32)
    found = sensitivity(np.ones((1, 1)), jacobian, noise, np.array([100.0]), np.zeros((1, 2)))
    assert np.isfinite(found.share).all()
    np.testing.assert_allclose(found.share, [[1.0, 0.0]], atol=1e-12)


def test_shares_of_correlated_noise_add_up_and_may_be_negative() -> None:
    correlation = np.array([[1.0, -0.9], [-0.9, 1.0]])
    noise = Noise(np.array([1.0, 0.5]), together=(Together(np.array([0, 1]), root_of(correlation)),))
    found = sensitivity(np.ones((1, 1)), np.ones((1, 1, 2), np.float32), noise, np.ones(1), np.zeros((1, 2)))
    assert found.effect.tolist() == [[1.0, 0.5]]
    variance = 1.0 + 0.25 - 2 * 0.9 * 0.5
    np.testing.assert_allclose(found.share, [[(1.0 - 0.45) / variance, (0.25 - 0.45) / variance]])


def test_noise_that_is_a_share_is_that_of_the_row() -> None:
    noise = Noise(np.array([0.0, 1.0]), share=np.array([0.1, 0.0]))
    rows = np.array([[20.0, 5.0], [-40.0, 5.0]])
    found = sensitivity(np.ones((2, 1)), np.ones((2, 1, 2), np.float32), noise, np.ones(2), rows)
    np.testing.assert_allclose(found.effect, [[2.0, 1.0], [4.0, 1.0]])
    np.testing.assert_allclose(found.share, [[0.8, 0.2], [16 / 17, 1 / 17]])
