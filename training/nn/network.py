# ruff: noqa: F722 -- jaxtyping's shape strings are not forward references
"""Defines networks: a chain of layers that return their slopes, and a linear layer at the end."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from chainzrule.training.nn.functional import gaussian_mean, gaussian_moment, hermite_fit
from chainzrule.training.nn.layers import Layer, PolynomialLayer, ReluLayer
from chainzrule.training.nn.ordinal import CumulativeLogits

FITTED = 2.0
SHALLOW = 2  # the largest number of hidden layers of a shallow network
SPREAD = 0.7  # MNIST's accuracy is the same from 0.5 to 1
DEEP_SPREAD = 0.5


class Propagation(NamedTuple):
    """Holds one forward pass: the scores, and every hidden layer's slopes."""

    scores: Tensor
    slopes: tuple[Tensor, ...]


Output = nn.Linear | CumulativeLogits


class Network(nn.Module):
    """Chains hidden layers and a linear layer: scores = W_out h_L + b_out.

    An ordinal network's W_out has one row, which all of its scores share.
    """

    hidden: nn.ModuleList
    output: Output

    def __init__(self, hidden: Sequence[Layer], output: Output) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(hidden)
        self.output = output

    @property
    def layers(self) -> Iterator[Layer]:
        """Returns the hidden layers, first to last."""
        for layer in self.hidden:
            assert isinstance(layer, PolynomialLayer | ReluLayer)
            yield layer

    @property
    def parameter_count(self) -> int:
        """Returns the number of learned parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def propagate(self, x: Float[Tensor, "batch inputs"]) -> Propagation:
        """Returns scores and slopes of standardised features, from one pass."""
        slopes = []
        for layer in self.hidden:
            x, slope = layer(x)
            slopes.append(slope)
        return Propagation(self.output(x), tuple(slopes))

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch scores"]:
        """Returns the scores of standardised features."""
        return self.propagate(x).scores


class ChainzRuleNetwork(Network):
    """Is the paper's network: polynomial layers, and a linear last layer.

    Its polynomials start as those closest to a smooth activation under N(0, FITTED^2), and its weights are scaled so
    that pre-activations have the standard deviation SPREAD in every layer, where polynomials are tame.

    With more than SHALLOW hidden layers they start at DEEP_SPREAD, and with mean 0: what a mean adds is the same for
    all rows, layer after layer, until little of the scale is left for what tells rows apart. Degree 5 and depth 6
    diverged without that. Shallow networks keep the mean: it harms nothing, and MNIST's accuracy is a little better.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        scores: int,
        degree: int,
        generator: torch.Generator,
        output: type[Output] = nn.Linear,
    ) -> None:
        widths = [inputs, *hidden]
        layers = [PolynomialLayer(fan_in, width, degree) for fan_in, width in zip(widths, hidden, strict=False)]
        super().__init__(layers, output(widths[-1], scores))
        start, spread = hermite_fit(gelu, degree, FITTED), SPREAD
        if len(hidden) > SHALLOW:
            spread = DEEP_SPREAD
            start[0] -= gaussian_mean(start, spread)
        moment = 1.0
        for layer in layers:
            _scale(layer.linear, moment / spread**2, generator)
            with torch.no_grad():
                layer.derivatives.copy_(start[:, None] * layer.factorials)
            moment = gaussian_moment(start, spread)
        _scale(self.output, moment, generator)


class ReluNetwork(Network):
    """Is the same chain with max(z, 0) in place of the polynomials (He's initialisation)."""

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        scores: int,
        generator: torch.Generator,
        output: type[Output] = nn.Linear,
    ) -> None:
        widths = [inputs, *hidden]
        layers = [ReluLayer(fan_in, width) for fan_in, width in zip(widths, hidden, strict=False)]
        super().__init__(layers, output(widths[-1], scores))
        for number, layer in enumerate(layers):
            _scale(layer.linear, 1.0 if number == 0 else 0.5, generator)
        _scale(self.output, 0.5 if layers else 1.0, generator)


def _scale(layer: Output, moment: float, generator: torch.Generator) -> None:
    """Sets weights that multiply the inputs' second moment by 1 / `moment`, and bias 0; thresholds stay."""
    linear = layer.linear if isinstance(layer, CumulativeLogits) else layer
    with torch.no_grad():
        linear.weight.normal_(0.0, (linear.in_features * moment) ** -0.5, generator=generator)
        if linear.bias is not None:
            linear.bias.zero_()


def gelu(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns z Phi(z) in its logistic form, the smooth activation that the polynomials start from."""
    return np.asarray(z / (1 + np.exp(-1.702 * z)))
