import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from chainzrule.training.nn.functional import gaussian_mean, gaussian_moment, hermite_fit, polynomial


@given(degree=st.integers(1, 5), seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=40)
def test_value_and_slope_are_the_polynomials(degree: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    z, coefficients = 3 * random.standard_normal((7, 4)), random.standard_normal((degree + 1, 4))
    value, slope = polynomial(torch.from_numpy(z), list(torch.from_numpy(coefficients)))
    for neuron in range(4):
        expected = np.polynomial.Polynomial(coefficients[:, neuron])
        np.testing.assert_allclose(value[:, neuron], expected(z[:, neuron]), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(slope[:, neuron], expected.deriv()(z[:, neuron]), rtol=1e-10, atol=1e-10)


def test_shapes_are_checked_under_pytest() -> None:
    with pytest.raises(TypeCheckError):
        polynomial(torch.zeros(3, 4), [torch.zeros(5), torch.zeros(5)])


@pytest.mark.parametrize("degree", range(1, 6))
def test_the_fit_to_a_polynomial_is_that_polynomial(degree: int) -> None:
    expected = np.arange(1.0, degree + 2)
    found = hermite_fit(np.polynomial.Polynomial(expected), degree)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_the_fit_is_the_closest_in_mean_square() -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    expected = np.polynomial.polynomial.polyfit(2 * nodes, np.tanh(2 * nodes), 3, w=np.sqrt(weights))
    np.testing.assert_allclose(hermite_fit(np.tanh, 3, spread=2.0), expected, atol=1e-8)


def test_mean() -> None:
    cubic = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    assert gaussian_mean(cubic, spread=2.0) == pytest.approx(1 + 3 * 4)


def test_moment_of_the_square() -> None:
    square = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    assert gaussian_moment(square) == pytest.approx(3)  # E[z^4]
    assert gaussian_moment(square, spread=2.0) == pytest.approx(48)
