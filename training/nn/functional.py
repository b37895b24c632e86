# ruff: noqa: F722 -- jaxtyping's shape strings are not forward references
"""Defines the mathematics of the polynomial engine, without state (paper: "Polynomial engine")."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor


def polynomial(
    z: Float[Tensor, "batch width"], coefficients: Sequence[Float[Tensor, " width"]]
) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch width"]]:
    """Returns value and slope of every neuron's polynomial in one Horner pass.

    Args:
        z: pre-activations.
        coefficients: the k-th holds every neuron's c_k, the factor of z^k; at least two (degree 1).

    Returns:
        p(z)_i = sum_k c_ik z_i^k and p'(z)_i = sum_k k c_ik z_i^(k-1).
    """
    *lower, leading = coefficients
    # The recursion v <- v z + c, s <- s z + v, with its first two steps written out: they share the product c_n z.
    product = leading * z
    value = product + lower.pop()
    slope = leading.expand_as(z)
    if lower:
        slope = product + value
        value = value * z + lower.pop()
    while lower:
        slope = slope * z + value
        value = value * z + lower.pop()
    return value, slope


def hermite_fit(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]], degree: int, spread: float = 1.0
) -> Float[Tensor, " terms"]:
    """Returns the power coefficients, in float64, of the polynomial closest to `function` under z ~ N(0, spread^2).

    Closest means in mean square.

    The Hermite polynomials are orthogonal under N(0, 1): the k-th coefficient is E[f He_k] / k!, whatever the degree.
    """
    hermite = np.polynomial.hermite_e
    nodes, weights = hermite.hermegauss(64)
    weights = weights / weights.sum()
    basis = hermite.hermevander(nodes, degree)
    factorials = [math.factorial(k) for k in range(degree + 1)]
    powers = hermite.herme2poly((weights * function(spread * nodes)) @ basis / factorials)
    powers = np.pad(powers, (0, degree + 1 - len(powers)))  # numpy trims zeros at the end
    return torch.from_numpy(powers / spread ** np.arange(degree + 1))


def gaussian_mean(coefficients: Float[Tensor, " terms"], spread: float = 1.0) -> float:
    """Returns E[p(z)] under z ~ N(0, spread^2), which is what a layer adds to the next one's bias."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(16)
    values = np.polynomial.polynomial.polyval(spread * nodes, coefficients.numpy())
    return float(np.average(values, weights=weights))


def gaussian_moment(coefficients: Float[Tensor, " terms"], spread: float = 1.0) -> float:
    """Returns E[p(z)^2] under z ~ N(0, spread^2), by which the weights keep the signal's size from layer to layer."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(16)
    values = np.polynomial.polynomial.polyval(spread * nodes, coefficients.numpy())
    return float(np.average(values**2, weights=weights))
