"""The computations an artifact carries, as modules of plain tensors with all constants folded in float64.

What could be done once is done here: the inputs' standard deviation goes into the first weights, every polynomial's
constant into the next bias, the softmax's common direction and the target's unit into the output layer, and the noise
into a factor R of at most width x width. The inputs' mean stays a subtraction, because folded into a bias it would
cancel badly where a column's mean is large against its spread.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from chainzrule.service.artifact.interface import Task
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.jacobian import forward_mode, hidden_weights, output_side
from chainzrule.training.nn.layers import PolynomialLayer
from chainzrule.training.nn.meanshift import NoisyLayer, half_curvature_coefficients, leading_directions, mean_shift
from chainzrule.training.nn.ordinal import level_probabilities, level_widths


@dataclass(frozen=True)
class Folded:
    """The constants of a fitted model's graphs, float64.

    Attributes:
        offset: (D,) float32 means, or (1,) where all are equal.
        weights: hidden layers' (width, inputs) weights; the first per raw unit.
        biases: hidden layers' (width,) biases.
        coefficients: hidden layers' (degree, width) polynomial coefficients c_1 to c_n.
        output_weight: (S, width); ordinal: (1, width), of f alone.
        output_bias: (S,); ordinal: the thresholds' negatives.
        factor: (first width, rank) R^T with R the QR factor of (W_1 N)^T, so that W_1 N^2 W_1^T = R^T R.
        leading: (directions, first width) that covariance's leading directions.
        rest: (first width,) the variance that they leave; None where they are all there are.
    """

    offset: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    coefficients: tuple[Tensor, ...]
    output_weight: Tensor
    output_bias: Tensor
    factor: Tensor
    leading: Tensor
    rest: Tensor | None


def fold(model: FittedModel) -> Folded:
    """Fold a fitted polynomial model's constants.

    Raises:
        TypeError: a hidden layer is not polynomial.
    """
    columns, network = model.columns, model.network
    mean, std, noise = (torch.from_numpy(values) for values in (columns.mean, columns.std, columns.noise))
    offset = mean.float()
    weights = [weight.detach().double() for weight in hidden_weights(network)]
    weights[0] = weights[0] / std
    biases, coefficients = [], []
    # float32 cannot hold every mean: what it misses goes into the first bias.
    constant = offset.double() - mean
    for layer, weight in zip(network.layers, weights, strict=True):
        if not isinstance(layer, PolynomialLayer):
            raise TypeError("only polynomial layers have the closed form that the graphs are made of")
        biases.append(layer.linear.bias.detach().double() + weight @ constant)
        constant, *others = layer.coefficients.detach().double()
        coefficients.append(torch.stack(others))
    output = copy.deepcopy(network.output).double().requires_grad_(False)
    output_weight = output.weight
    output_bias = output.bias + output_weight @ constant
    if model.task == "regression":
        output_weight = output_weight * model.target.std
        output_bias = output_bias * model.target.std + model.target.mean
    elif model.task == "classification":
        output_weight = output_weight - output_weight.mean(dim=0)
        output_bias = output_bias - output_bias.mean()
    factor = noise_factor(weights[0], noise)
    leading, rest = leading_directions(factor)
    return Folded(
        offset=offset[:1] if bool((offset == offset[0]).all()) else offset,
        weights=tuple(weights),
        biases=tuple(biases),
        coefficients=tuple(coefficients),
        output_weight=output_weight,
        output_bias=output_bias,
        factor=factor,
        leading=leading,
        rest=rest,
    )


def noise_factor(weight: Tensor, noise: Tensor) -> Tensor:
    """R^T, (width, rank), with (weight diag(noise))^T = Q R: all that the scores' covariance needs of the inputs.

    Args:
        weight: (width, D) float64, per raw unit.
        noise: (D,) in raw units; columns without noise are left out.
    """
    noisy = (weight * noise)[:, noise > 0]
    if noisy.shape[1] == 0:
        return weight.new_zeros(len(weight), 1)
    # numpy's LAPACK, with the signs of R's diagonal made positive: the same weights give the same file.
    factor: NDArray[np.float64] = np.asarray(np.linalg.qr(noisy.numpy().T, mode="r"))
    signs = np.where(np.diagonal(factor) < 0, -1.0, 1.0)
    return torch.from_numpy(np.ascontiguousarray((factor * signs[:, None]).T))


class Graph(nn.Module):
    """The forward pass that all graphs share, on folded constants."""

    def __init__(self, folded: Folded) -> None:
        super().__init__()
        self.depth = len(folded.weights)
        self.register_buffer("offset", folded.offset.float())
        for number in range(self.depth):
            self.register_buffer(f"weight_{number}", folded.weights[number].float())
            self.register_buffer(f"bias_{number}", folded.biases[number].float())
            for power, row in enumerate(folded.coefficients[number], start=1):
                self.register_buffer(f"coefficient_{number}_{power}", row.float())
        self.degrees = [len(rows) for rows in folded.coefficients]
        self.register_buffer("output_weight", folded.output_weight.float())
        self.register_buffer("output_bias", folded.output_bias.float())
        self.register_buffer("factor", folded.factor.float())
        self.scores = len(folded.output_bias)
        self.moves_as_one = len(folded.output_weight) < self.scores

    def propagate(self, features: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """(batch, S) scores and every hidden layer's (batch, width) slopes and pre-activations."""
        h, slopes, before = features - self.get_buffer("offset"), [], []
        for number in range(self.depth):
            z = F.linear(h, self.get_buffer(f"weight_{number}"), self.get_buffer(f"bias_{number}"))
            h, slope = centred_polynomial(z, self.coefficients(number))
            slopes.append(slope)
            before.append(z)
        if self.moves_as_one:
            return F.linear(h, self.get_buffer("output_weight")) + self.get_buffer("output_bias"), slopes, before
        return F.linear(h, self.get_buffer("output_weight"), self.get_buffer("output_bias")), slopes, before

    def coefficients(self, number: int) -> list[Tensor]:
        """A hidden layer's c_1 to c_n."""
        return [self.get_buffer(f"coefficient_{number}_{power}") for power in range(1, self.degrees[number] + 1)]

    def later_weights(self) -> list[Tensor]:
        """The hidden layers' weights but the first's."""
        return [self.get_buffer(f"weight_{number}") for number in range(1, self.depth)]

    def first_slopes(self, slopes: list[Tensor]) -> Tensor:
        """(batch, S, width) d scores / d z_1; one row for all scores where they move as one."""
        weights = [self.get_buffer(f"weight_{number}") for number in range(self.depth)]
        return output_side(self.get_buffer("output_weight"), weights, slopes)


class PredictionGraph(Graph):
    """features -> scores, covariance; with labels also probabilities and mean_shift."""

    def __init__(self, folded: Folded, task: Task) -> None:
        super().__init__(folded)
        self.task = task
        self.leading = folded.leading.float()
        self.rest = None if folded.rest is None else folded.rest.float()
        self.layers = [
            NoisyLayer(
                weight=self.get_buffer(f"weight_{number}"),
                squares=folded.weights[number].square().float(),
                curvature=half_curvature_coefficients([row.float() for row in folded.coefficients[number]]),
            )
            for number in range(self.depth)
        ]
        if task == "ordinal":
            self.register_buffer("level_widths", level_widths(-folded.output_bias).float())

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """The outputs in the order of `output_names`."""
        scores, slopes, before = self.propagate(features)
        if self.task == "regression":
            return scores, self._covariance(slopes)
        hidden, directions = mean_shift(self.leading, self.rest, self.layers, before, slopes)
        shift = F.linear(hidden, self.get_buffer("output_weight"))
        if self.task == "ordinal":
            covariance = self._covariance(slopes).expand(-1, self.scores, self.scores)
            probabilities = level_probabilities(scores, self.get_buffer("level_widths"))
            return scores, probabilities, covariance, shift.expand(-1, self.scores)
        return scores, scores.softmax(dim=1), self._covariance(slopes, directions), shift

    def _covariance(self, slopes: list[Tensor], directions: Tensor | None = None) -> Tensor:
        """(batch, S, S), or (batch, 1, 1) for scores that move as one; by the noise's directions, where those are all.

        In factored form the covariance keeps non-negative variances however alike its entries are.
        """
        if directions is not None and self.rest is None:
            noisy = F.linear(directions, self.get_buffer("output_weight"))
            return noisy.transpose(1, 2) @ noisy
        noisy = self.first_slopes(slopes) @ self.get_buffer("factor")
        return noisy @ noisy.transpose(1, 2)

    @property
    def output_names(self) -> list[str]:
        """The graph's outputs, in order."""
        if self.task == "regression":
            return ["scores", "covariance"]
        return ["scores", "probabilities", "covariance", "mean_shift"]


class JacobianGraph(Graph):
    """features -> jacobian (batch, S, D) in raw units."""

    output_names = ("jacobian",)

    def forward(self, features: Tensor) -> tuple[Tensor]:
        """The Jacobian, from the output side."""
        _, slopes, _ = self.propagate(features)
        first = self.first_slopes(slopes).expand(-1, self.scores, -1)
        return (first @ self.get_buffer("weight_0"),)


class LayersGraph(Graph):
    """features -> layer_norms (batch, hidden layers + 1)."""

    output_names = ("layer_norms",)

    def forward(self, features: Tensor) -> tuple[Tensor]:
        """The norm after each layer of the derivative along one noise sigma of every feature."""
        _, slopes, _ = self.propagate(features)
        factor = self.get_buffer("factor")
        # The factor stands for W_1 N: same norm, fewer columns. The last layer's derivative is the output side's.
        start = slopes[0].unsqueeze(-1) * factor
        last = self.first_slopes(slopes).expand(-1, self.scores, -1) @ factor
        derivatives = [start, *forward_mode(start, self.later_weights(), slopes[1:]), last]
        norms = [torch.linalg.vector_norm(derivative, dim=(1, 2)) for derivative in derivatives]
        return (torch.stack(norms, dim=1),)


def centred_polynomial(z: Tensor, coefficients: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Value and slope of the polynomial without its constant; `coefficients` are c_1 to c_n."""
    *lower, leading = coefficients
    product = leading * z
    if not lower:
        return product, leading.expand_as(z)
    # Horner's recursion of `polynomial`, but for the last addition: this constant is 0.
    value = product + lower.pop()
    slope = product + value
    while lower:
        value = value * z + lower.pop()
        slope = slope * z + value
    return value * z, slope
