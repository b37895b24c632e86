# ruff: noqa: F722 -- jaxtyping's shape strings are not forward references
"""Computes DREG on the accumulated Jacobian: how far the inputs move each layer (docs/science.md).

With A_l = J_l ... J_1 = d h_l / d x, layer l's term is the batch mean of ||A_l||_F^2, divided by the layer's width: the
mean squared gradient of its neurons in the standardised features. Layer 1's is that of `dreg`. Further ones
are exact where they have few rows, from the output side:

    ||A_l||_F^2 = tr(M G M^T),    M = d h_l / d z_1,    G = W_1 W_1^T.

Else they are estimated along random directions (Hutchinson 1990): with u of independent signs, E[u u^T] = I, hence
E||A_l u||^2 = ||A_l||_F^2. One forward pass of directions serves all layers.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from chainzrule.training.nn.jacobian import output_side
from chainzrule.training.penalties.dreg import dreg


def accumulated_penalties(
    weights: Sequence[Tensor],
    slopes: Sequence[Tensor],
    layers: Sequence[int],
    exact_width: int,
    projections: int,
    generator: torch.Generator,
) -> list[Tensor]:
    """Returns one term for each of `layers`, in their order.

    Args:
        weights: the layers' (width, inputs) weights, first to last; the linear last layer's too where it counts.
        slopes: their (batch, width) slopes; the linear last layer has none, and may be left out.
        layers: the wanted ones' places in `weights`, rising.
        exact_width: layers with at most so many rows are exact.
        projections: directions a row of the batch for the wider ones.
        generator: draws the directions, on the slopes' device.
    """
    first = slopes[0]
    wide = [number for number in layers if number and len(weights[number]) > exact_width]
    estimates: dict[int, Tensor] = {}
    if wide:
        deepest = wide[-1] + 1
        start = signs((len(first), projections, weights[0].shape[1]), first, generator)
        moved = propagate_directions(start, weights[:deepest], slopes[:deepest])
        estimates = {number: moved[number].square().mean(1) for number in wide}
    exact = [number for number in layers if number and number not in estimates]
    gram = weights[0] @ weights[0].T if exact else weights[0]
    terms = []
    for number in layers:
        if number == 0:
            terms.append(dreg(weights[:1], [first]))
        elif number in estimates:
            terms.append(estimates[number].mean())
        else:
            rows = output_side(weights[number], weights[:number], slopes[:number])
            if number < len(slopes):
                rows = rows * slopes[number].unsqueeze(2)
            terms.append(((rows @ gram) * rows).sum() / (len(first) * len(weights[number])))
    return terms


def propagate_directions(
    start: Float[Tensor, "batch directions inputs"], weights: Sequence[Tensor], slopes: Sequence[Tensor]
) -> list[Tensor]:
    """Returns (batch, directions, width) derivatives along `start` after each layer.

    A layer without slopes is linear.
    """
    moved, derivative = [], start
    for number, weight in enumerate(weights):
        derivative = F.linear(derivative, weight)
        if number < len(slopes):
            derivative = derivative * slopes[number].unsqueeze(1)
        moved.append(derivative)
    return moved


def signs(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Returns independent +1 and -1, which of all entries of mean 0 and variance 1 give the estimate least variance."""
    return torch.randint(2, shape, generator=generator, device=like.device, dtype=like.dtype).mul_(2).sub_(1)
