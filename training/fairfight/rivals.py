# ruff: noqa: F722 -- jaxtyping's shape strings are not forward references
"""The networks that ChainzRule is compared with. All map (rows, inputs) standardised features to (rows, scores)."""

import itertools
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torchdiffeq import odeint

GAIN = 2.0  # hidden weights after the first layer's have variance 2 / fan-in (He et al. 2015)


def perceptron(inputs: int, hidden: Sequence[int], scores: int, activation: Callable[[], nn.Module]) -> nn.Sequential:
    """A chain of linear layers with an activation between them; it pays for no slopes, which nobody asks it for.

    Args:
        inputs: columns of the features.
        hidden: widths of the hidden layers.
        scores: columns of the output.
        activation: makes the activation.
    """
    widths = [inputs, *hidden, scores]
    modules: list[nn.Module] = []
    for number, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        linear = nn.Linear(fan_in, fan_out)
        nn.init.normal_(linear.weight, 0.0, ((1.0 if number == 0 else GAIN) / fan_in) ** 0.5)
        nn.init.zeros_(linear.bias)
        modules += [linear, activation()]
    return nn.Sequential(*modules[:-1])


def spectrally_normalised(network: nn.Sequential) -> nn.Sequential:
    """Every hidden layer's weights divided by their largest singular value, by power iteration (Miyato et al. 2018).

    The output layer stays free, else no score could grow: its weights are bounded by weight decay alone.
    """
    *hidden, _ = (module for module in network if isinstance(module, nn.Linear))
    for linear in hidden:
        parametrizations.spectral_norm(linear)
    return network


class SplineLayer(nn.Module):
    """A layer of a Kolmogorov-Arnold network: a learned function on every edge (Liu et al. 2024).

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
        """The sum of the edges' functions."""
        value: Tensor = self.linear(nn.functional.silu(x)) + self._basis(x).flatten(1) @ self.coefficients.T
        return value

    def _basis(self, x: Tensor) -> Tensor:
        """(batch, inputs, intervals + order) values of the B-splines, by the recursion of Cox and de Boor."""
        knots, x = self.knots, x.unsqueeze(-1)
        basis = ((x >= knots[:-1]) & (x < knots[1:])).to(x.dtype)
        step = knots[1] - knots[0]
        for k in range(1, self.order + 1):
            left = (x - knots[: -(k + 1)]) / (k * step)
            right = (knots[k + 1 :] - x) / (k * step)
            basis = left * basis[..., :-1] + right * basis[..., 1:]
        return basis


def kolmogorov_arnold(inputs: int, hidden: Sequence[int], scores: int) -> nn.Sequential:
    """A Kolmogorov-Arnold network of cubic splines."""
    return nn.Sequential(*(SplineLayer(*pair) for pair in itertools.pairwise([inputs, *hidden, scores])))


class NeuralOde(nn.Module):
    """Encoder, dh/dt = W2 tanh(W1 h) from t = 0 to 1 by Runge-Kutta of order 4, decoder (Chen et al. 2018)."""

    STEPS = 6

    def __init__(self, inputs: int, state: int, width: int, scores: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(inputs, state)
        self.field = nn.Sequential(nn.Linear(state, width), nn.Tanh(), nn.Linear(width, state))
        self.decoder = nn.Linear(state, scores)
        self.register_buffer("times", torch.linspace(0, 1, self.STEPS + 1), persistent=False)

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch scores"]:
        """Scores of the state at t = 1."""
        states = odeint(lambda _, state: self.field(state), self.encoder(x), self.times, method="rk4")
        scores: Tensor = self.decoder(states[-1])
        return scores
