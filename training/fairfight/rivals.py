# ruff: noqa: F722 -- jaxtyping's shape strings are not forward references
"""Defines the networks that ChainzRule is compared with, which map (rows, inputs) features to (rows, scores)."""

import itertools
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torchdiffeq import odeint

from chainzrule.training.nn.network import Output
from chainzrule.training.nn.ordinal import CumulativeLogits

GAIN = 2.0  # hidden weights after the first layer's have variance 2 / fan-in (He et al. 2015)


def perceptron(
    inputs: int,
    hidden: Sequence[int],
    scores: int,
    activation: Callable[[], nn.Module],
    output: type[Output] = nn.Linear,
) -> nn.Sequential:
    """Returns a chain of linear layers with an activation between them, which computes no slopes.

    Args:
        inputs: columns of the features.
        hidden: widths of the hidden layers.
        scores: columns of the output.
        activation: makes the activation.
        output: the last layer.
    """
    modules: list[nn.Module] = []
    for number, (fan_in, fan_out) in enumerate(itertools.pairwise([inputs, *hidden])):
        modules += [_drawn(nn.Linear(fan_in, fan_out), 1.0 if number == 0 else GAIN), activation()]
    last = output(hidden[-1], scores)
    _drawn(last.linear if isinstance(last, CumulativeLogits) else last, GAIN)
    return nn.Sequential(*modules, last)


def _drawn(linear: nn.Linear, gain: float) -> nn.Linear:
    nn.init.normal_(linear.weight, 0.0, (gain / linear.in_features) ** 0.5)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
    return linear


def spectrally_normalised(network: nn.Sequential) -> nn.Sequential:
    """Returns the network with every hidden layer's weights divided by their spectral norm (Miyato et al. 2018).

    The output layer stays free, else no score could grow: its weights are bounded by weight decay alone.
    """
    for module in list(network)[:-1]:
        if isinstance(module, nn.Linear):
            parametrizations.spectral_norm(module)
    return network


class SplineLayer(nn.Module):
    """Is a layer of a Kolmogorov-Arnold network: a learned function on every edge (Liu et al. 2024).

    phi(x) = w silu(x) + sum_i c_i B_i(x), B_i the cubic B-splines on an even grid over [-reach, reach].
    """

    knots: Tensor

    def __init__(self, inputs: int, outputs: int, intervals: int = 5, reach: float = 2.5, order: int = 3) -> None:
        super().__init__()
        step = 2 * reach / intervals
        self.order = order
        self.register_buffer("knots", torch.arange(-order, intervals + order + 1) * step - reach)
        self.linear = nn.Linear(inputs, outputs)
        nn.init.normal_(self.linear.weight, 0.0, inputs**-0.5)
        self.coefficients = nn.Parameter(0.1 * inputs**-0.5 * torch.randn(outputs, inputs * (intervals + order)))

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """Returns the sums of the edges' functions."""
        value: Tensor = self.linear(nn.functional.silu(x)) + self._basis(x).flatten(1) @ self.coefficients.T
        return value

    def _basis(self, x: Tensor) -> Tensor:
        """Returns (batch, inputs, intervals + order) values of the B-splines, by the recursion of Cox and de Boor."""
        knots, x = self.knots, x.unsqueeze(-1)
        basis = ((x >= knots[:-1]) & (x < knots[1:])).to(x.dtype)
        step = knots[1] - knots[0]
        for k in range(1, self.order + 1):
            left = (x - knots[: -(k + 1)]) / (k * step)
            right = (knots[k + 1 :] - x) / (k * step)
            basis = left * basis[..., :-1] + right * basis[..., 1:]
        return basis


def kolmogorov_arnold(
    inputs: int, hidden: Sequence[int], scores: int, output: type[Output] = nn.Linear
) -> nn.Sequential:
    """Returns a Kolmogorov-Arnold network of cubic splines; an ordinal one compares its one output with thresholds."""
    ordered = output is CumulativeLogits
    widths = [inputs, *hidden, 1 if ordered else scores]
    splines: list[nn.Module] = [SplineLayer(*pair) for pair in itertools.pairwise(widths)]
    if not ordered:
        return nn.Sequential(*splines)
    thresholds = CumulativeLogits(1, scores)
    nn.init.ones_(thresholds.linear.weight)
    return nn.Sequential(*splines, thresholds)


class NeuralOde(nn.Module):
    """Computes a neural ODE (Chen et al. 2018): an encoder, an initial value problem, and a decoder.

    The state follows dh/dt = W2 tanh(W1 h) from t = 0 to 1, by the fourth-order Runge-Kutta method.
    """

    STEPS = 6

    def __init__(self, inputs: int, state: int, width: int, scores: int, output: type[Output] = nn.Linear) -> None:
        super().__init__()
        self.encoder = nn.Linear(inputs, state)
        self.field = nn.Sequential(nn.Linear(state, width), nn.Tanh(), nn.Linear(width, state))
        self.decoder = output(state, scores)
        self.register_buffer("times", torch.linspace(0, 1, self.STEPS + 1), persistent=False)

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch scores"]:
        """Returns the scores of the state at t = 1."""
        states = odeint(lambda _, state: self.field(state), self.encoder(x), self.times, method="rk4")
        scores: Tensor = self.decoder(states[-1])
        return scores
