# ruff: noqa: F722 -- jaxtyping's shape strings are not forward references
"""Computes the exact input Jacobian of a network by matrix products (paper: "Derivatives in the forward pass").

With z_l = W_l h_(l-1) + b_l and slopes p'(z_l), the chain rule gives

    d scores / d x = W_out diag(p'(z_L)) W_L ... diag(p'(z_1)) W_1.

Multiplied from the right it shows the derivative after every layer (forward mode); from the left it never holds more
than scores x width numbers a row, which is cheaper wherever there are fewer scores than inputs.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from chainzrule.training.nn.network import Network


def forward_mode(
    start: Float[Tensor, "*batch inputs directions"],
    weights: Sequence[Tensor],
    slopes: Sequence[Tensor],
) -> list[Tensor]:
    """Returns the derivative after each hidden layer along the columns of `start`: G_l = diag(p'(z_l)) W_l G_(l-1).

    Args:
        start: directions in input space, or one derivative a row to go on from; the identity gives the Jacobian.
        weights: the hidden layers' (width, inputs) weights, first to last.
        slopes: the hidden layers' (batch, width) slopes.

    Returns:
        One (batch, width, directions) tensor a hidden layer.
    """
    accumulated = []
    derivative: Tensor = start
    for weight, slope in zip(weights, slopes, strict=True):
        derivative = slope.unsqueeze(-1) * (weight @ derivative)
        accumulated.append(derivative)
    return accumulated


def output_side(
    output: Float[Tensor, "scores width"],
    weights: Sequence[Tensor],
    slopes: Sequence[Tensor],
) -> Float[Tensor, "batch scores first"]:
    """Returns d scores / d z_1, the derivative with respect to the first layer's pre-activations.

    Args:
        output: the last layer's weight.
        weights: the hidden layers' (width, inputs) weights, first to last; the first is not used.
        slopes: the hidden layers' (batch, width) slopes; at least one layer.
    """
    derivative = output * slopes[-1].unsqueeze(1)
    for weight, slope in zip(reversed(weights[1:]), reversed(slopes[:-1]), strict=True):
        derivative = (derivative @ weight) * slope.unsqueeze(1)
    return derivative


def input_jacobian(network: Network, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch scores inputs"]:
    """Returns d scores / d x at standardised features, computed from the output side."""
    slopes = network.propagate(x).slopes
    weights = hidden_weights(network)
    return output_side(network.output.weight, weights, slopes) @ weights[0]


def hidden_weights(network: Network) -> list[Tensor]:
    """Returns the hidden layers' weights, first to last."""
    return [layer.weight for layer in network.layers]
