# ruff: noqa: F722 -- jaxtyping's shape strings are not forward references
"""Computes the polynomial and its penalty with hand-written backward passes, in fewer passes over the arrays.

Both backward passes are themselves differentiable, so that penalties on gradients work through them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from chainzrule.training.nn.functional import polynomial


class ValueAndSlope(torch.autograd.Function):
    """Computes `polynomial`, with the reverse of its Horner recursion as its backward pass."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (batch, width) value and slope of (batch, width) pre-activations by (terms, width) coefficients."""
        *lower, leading = coefficients.unbind()
        # This is the recursion v <- v z + c, s <- s z + v of `polynomial`, with one pass over the array for each step.
        value, slope = torch.addcmul(lower.pop(), leading, z), leading.expand_as(z)
        while lower:
            slope = torch.addcmul(value, slope, z)
            value = torch.addcmul(lower.pop(), value, z)
        ctx.save_for_backward(z, coefficients, slope)
        ctx.set_materialize_grads(False)
        return value, slope

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, Tensor]:
        """Returns the gradients of z and the coefficients from those of value and slope; None stands for zeros.

        Horner's v <- v z + c_k, s <- s z + v runs from k = n to 0; its adjoints run back from 0 to n.
        """
        z, coefficients, slope = ctx.saved_tensors
        value_adjoint, slope_adjoint = gradients
        if value_adjoint is None:
            value_adjoint = torch.zeros_like(z)
        z_gradient = value_adjoint * slope
        if slope_adjoint is not None and len(coefficients) > 2:
            z_gradient = torch.addcmul(z_gradient, slope_adjoint, curvature(z, coefficients))
        sums = [value_adjoint.sum(0)]
        for power in range(1, len(coefficients)):
            if slope_adjoint is None:
                value_adjoint = value_adjoint * z
            else:
                slope_adjoint = slope_adjoint if power == 1 else slope_adjoint * z
                value_adjoint = torch.addcmul(slope_adjoint, value_adjoint, z)
            sums.append(value_adjoint.sum(0))
        return z_gradient, torch.stack(sums)


def value_and_slope(
    z: Float[Tensor, "batch width"], coefficients: Float[Tensor, "terms width"]
) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch width"]]:
    """Returns p(z) and p'(z) for training; row k of `coefficients` holds every neuron's c_k."""
    try:
        value, slope = ValueAndSlope.apply(z, coefficients)  # type: ignore[no-untyped-call]
    except RuntimeError:
        # torch.func's transforms refuse it. The form of Function that they take costs twice the overhead a call, and a
        # Jacobian that they make of the plain operations is one that the backward pass above had no part in.
        return polynomial(z, coefficients.unbind())
    return value, slope


def curvature(z: Float[Tensor, "batch width"], coefficients: Float[Tensor, "terms width"]) -> Float[Tensor, "..."]:
    """Returns p''(z) of polynomials of degree 2 and more; (width,) where it is constant."""
    degree = len(coefficients) - 1
    second = degree * (degree - 1) * coefficients[degree]
    for power in range(degree - 1, 1, -1):
        second = torch.addcmul(power * (power - 1) * coefficients[power], second, z)
    return second


class LayerPenalties(torch.autograd.Function):
    """Computes the sum over layers of factor mean_i(E_b[slope_bi^2] ||w_i||^2), as one node for all of them.

    Its backward pass needs no more than each layer's two factors of width i again.
    """

    @staticmethod
    def forward(ctx: Any, factors: Sequence[float], *tensors: Tensor) -> Tensor:
        """Returns the sum, from one factor per layer, the (width, inputs) weights, then the (batch, width) slopes."""
        ctx.save_for_backward(*tensors)
        ctx.factors, ctx.squares = factors, [_squares(*layer) for layer in _layers(factors, tensors)]
        terms = [
            norms.dot(means).mul_(factor / len(norms))
            for factor, (norms, means) in zip(factors, ctx.squares, strict=True)
        ]
        return torch.stack(terms).sum() if len(terms) > 1 else terms[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Returns the gradients of the weights and of the slopes."""
        layers, squares = _layers(ctx.factors, ctx.saved_tensors), ctx.squares
        if torch.is_grad_enabled():  # a second derivative goes through these operations
            squares = [_squares(*layer) for layer in layers]
        weights, slopes = [], []
        for factor, (weight, slope), (norms, means) in zip(ctx.factors, layers, squares, strict=True):
            share = gradient * (2 * factor / len(weight))
            weights.append(weight * (share * means).unsqueeze(1))
            slopes.append(slope * (share / len(slope) * norms))
        return None, *weights, *slopes


def _layers(factors: Sequence[float], tensors: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return list(zip(tensors[: len(factors)], tensors[len(factors) :], strict=True))


def _squares(weight: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Returns (width,) ||w_i||^2 and E_b[slope_bi^2]."""
    return torch.linalg.vector_norm(weight, dim=1).square(), slope.square().mean(0)
