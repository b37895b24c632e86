# ruff: noqa: F722 -- jaxtyping's shape strings are not forward references
"""Defines layers that return their slope with their value, so that the derivative is part of the forward pass."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chainzrule.training.nn.fused import value_and_slope

MAX_DEGREE = 5


class PolynomialLayer(nn.Module):
    """Computes h' = p(W h + b), where each neuron has its own polynomial.

    Its Jacobian is closed-form: d h' / d h = diag(p'(W h + b)) W.

    What is learned are the polynomial's derivatives at 0, k! c_k, not the c_k themselves: an optimiser that moves all
    parameters alike would else move z^5 a hundred times too far, and networks of high degree would diverge.
    """

    linear: nn.Linear
    derivatives: nn.Parameter
    factorials: Tensor

    def __init__(self, inputs: int, width: int, degree: int = 3) -> None:
        super().__init__()
        if not 1 <= degree <= MAX_DEGREE:
            raise ValueError(f"a polynomial's degree is 1 to {MAX_DEGREE}, not {degree}")
        self.linear = nn.Linear(inputs, width)
        self.derivatives = nn.Parameter(torch.zeros(degree + 1, width))
        powers = torch.tensor([[float(math.factorial(k))] for k in range(degree + 1)])
        self.register_buffer("factorials", powers, persistent=False)

    @property
    def weight(self) -> Float[Tensor, "width inputs"]:
        """Returns W, which the slope multiplies in the layer's Jacobian."""
        return self.linear.weight

    @property
    def coefficients(self) -> Float[Tensor, "terms width"]:
        """Returns c, whose row k holds the factors of every neuron's z^k."""
        return self.derivatives / self.factorials

    def forward(
        self, h: Float[Tensor, "batch inputs"]
    ) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch width"]]:
        """Returns the layer's value p(z) and its slope p'(z) at z = W h + b."""
        return value_and_slope(self.linear(h), self.coefficients)


class ReluLayer(nn.Module):
    """Computes h' = max(W h + b, 0), the piecewise-linear layer that ChainzRule is compared with."""

    linear: nn.Linear

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width)

    @property
    def weight(self) -> Float[Tensor, "width inputs"]:
        """Returns W, which the slope multiplies in the layer's Jacobian."""
        return self.linear.weight

    def forward(
        self, h: Float[Tensor, "batch inputs"]
    ) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch width"]]:
        """Returns the layer's value and its slope, 0 or 1."""
        z = self.linear(h)
        return z.relu(), (z > 0).to(z.dtype)


Layer = PolynomialLayer | ReluLayer
