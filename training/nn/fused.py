# ruff: noqa: F722 -- jaxtyping's shape strings are not forward references
"""What autograd would make of the polynomial and its penalty, written by hand: fewer passes over (batch, width) arrays.

Both backward passes are themselves differentiable, so that penalties on gradients and `torch.func` work through them.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


class ValueAndSlope(torch.autograd.Function):
    """`polynomial` with the reverse of its Horner recursion as its backward pass."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, width) pre-activations and (terms, width) coefficients to value and slope."""
        *lower, leading = coefficients.unbind()
        # The recursion v <- v z + c, s <- s z + v, as in `polynomial`, a pass over the array for each.
        value, slope = torch.addcmul(lower.pop(), leading, z), leading.expand_as(z)
        while lower:
            slope = torch.addcmul(value, slope, z)
            value = torch.addcmul(lower.pop(), value, z)
        return value, slope

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        """Keep z, the coefficients and the slope."""
        ctx.save_for_backward(*inputs, output[1])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, Tensor]:
        """Gradients of z and the coefficients from those of value and slope; None stands for zeros.

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
    """p(z) and p'(z) for training; row k of `coefficients` holds every neuron's c_k."""
    value, slope = ValueAndSlope.apply(z, coefficients)  # type: ignore[no-untyped-call]
    return value, slope


def curvature(z: Float[Tensor, "batch width"], coefficients: Float[Tensor, "terms width"]) -> Float[Tensor, "..."]:
    """p''(z) of polynomials of degree 2 and more; (width,) where it is constant."""
    degree = len(coefficients) - 1
    second = degree * (degree - 1) * coefficients[degree]
    for power in range(degree - 1, 1, -1):
        second = torch.addcmul(power * (power - 1) * coefficients[power], second, z)
    return second


class LayerPenalty(torch.autograd.Function):
    """mean_i(E_b[slope_bi^2] ||w_i||^2); its backward pass needs no more than the two factors of width i again."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, slope: Tensor) -> Tensor:
        """(width, inputs) weight and (batch, width) slope to a number."""
        ctx.save_for_backward(weight, slope)
        ctx.norms, ctx.squares = _factors(weight, slope)
        penalty: Tensor = ctx.norms.dot(ctx.squares) / len(weight)
        return penalty

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of weight and slope."""
        weight, slope = ctx.saved_tensors
        norms, squares = _factors(weight, slope) if torch.is_grad_enabled() else (ctx.norms, ctx.squares)
        share = 2 * gradient / len(weight)
        return weight * (share * squares).unsqueeze(1), slope * (share / len(slope) * norms)


def _factors(weight: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    return torch.linalg.vector_norm(weight, dim=1).square(), slope.square().mean(0)
