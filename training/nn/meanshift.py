"""Computes how input noise shifts the mean of the scores: half the trace of each score's Hessian under the noise.

A polynomial layer knows its curvature as it knows its slope, so one forward pass carries it: to second order a neuron's
mean moves by its slope times what its input moved by, and by half its curvature times its input's variance. The
variances need the noise's covariance at every layer. It is carried as its leading directions, layer by layer exactly,
and a diagonal for the rest; where the directions are all there are, nothing is left out.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NUMBERS = 256  # the largest number of directions times the first layer's width, which bounds the cost of a row


def leading_directions(factor: Tensor) -> tuple[Tensor, Tensor | None]:
    """Returns the noise after the first layer as (directions, width), and the (width,) variance that remains or None.

    Args:
        factor: (width, any) float64, F of the covariance F F^T.
    """
    width = len(factor)
    left, sizes, _ = np.linalg.svd(factor.numpy(), full_matrices=False)
    count = max(1, min(int((sizes > 1e-9 * sizes[0]).sum()), NUMBERS // width))
    leading: NDArray[np.float64] = (left * sizes)[:, :count].T
    # The largest entry of every direction is made positive, so that the same weights give the same file.
    largest = np.take_along_axis(leading, np.abs(leading).argmax(axis=1)[:, None], axis=1)
    leading = leading * np.where(largest < 0, -1.0, 1.0)
    variance: NDArray[np.float64] = np.square(factor.numpy()).sum(axis=1)
    rest = np.maximum(variance - np.square(leading).sum(axis=0), 0.0)
    return torch.from_numpy(np.ascontiguousarray(leading)), None if count == len(sizes) else torch.from_numpy(rest)


def half_curvature_coefficients(coefficients: list[Tensor]) -> list[Tensor]:
    """Returns p''(z) / 2, lowest power first, from a polynomial's c_1 to c_n; empty for a straight line."""
    return [power * (power - 1) / 2 * coefficients[power - 1] for power in range(2, len(coefficients) + 1)]


@dataclass(frozen=True)
class NoisyLayer:
    """Holds what decides how noise moves the mean of a hidden layer.

    Attributes:
        weight: (width, inputs) the weight.
        squares: (width, inputs) the squares of the weight's entries.
        curvature: coefficients of half its polynomials' curvature, each (width,).
    """

    weight: Tensor
    squares: Tensor
    curvature: list[Tensor]


def mean_shift(
    leading: Tensor,
    rest: Tensor | None,
    layers: list[NoisyLayer],
    before: list[Tensor],
    slopes: list[Tensor],
    start: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Returns the shift of the last hidden layer's mean at one noise sigma, and the noise's leading directions there.

    Args:
        leading: (directions, first width), see `leading_directions`; (batch, directions, first width) where the noise
            is another for every row.
        rest: (first width,).
        layers: the hidden layers; the first's weight is not used.
        before: every hidden layer's (batch, width) pre-activations z.
        slopes: every hidden layer's (batch, width) slopes.
        start: (batch, first width) by how much the first layer's pre-activations shift; None where they do not.

    Returns:
        (batch, width) and (batch, directions, width).
    """
    spread, remaining, shift = leading, rest, start
    for number, layer in enumerate(layers):
        if number > 0:
            slope = slopes[number - 1]
            spread = (spread * slope.unsqueeze(1)) @ layer.weight.T
            remaining = None if remaining is None else (remaining * slope.square()) @ layer.squares.T
            shift = None if shift is None else shift @ layer.weight.T
        variance = spread.square().sum(dim=-2)
        variance = variance if remaining is None else variance + remaining
        bent = _horner(before[number], layer.curvature, variance)
        if shift is not None:
            carried = slopes[number] * shift
            bent = carried if bent is None else carried + bent
        shift = bent
    spread = spread * slopes[-1].unsqueeze(1)
    if shift is None:
        return torch.zeros_like(before[-1]), spread
    return shift if shift.ndim == 2 else shift.expand_as(before[-1]), spread


def _horner(z: Tensor, coefficients: list[Tensor], factor: Tensor) -> Tensor | None:
    """Returns the polynomial times `factor`; the factor goes into the constants, which keeps exported graphs small."""
    if not coefficients:
        return None
    constant = factor.ndim == 1
    *lower, value = [coefficient * factor for coefficient in coefficients] if constant else coefficients
    while lower:
        value = value * z + lower.pop()
    return value if constant else value * factor
