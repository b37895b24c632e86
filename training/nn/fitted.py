"""A fitted network with the raw units at both of its ends: the definition that the exported graphs are held against."""

import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from chainzrule.service.artifact.interface import Task
from chainzrule.training.columns import Columns
from chainzrule.training.nn.jacobian import input_jacobian
from chainzrule.training.nn.layers import PolynomialLayer
from chainzrule.training.nn.meanshift import NoisyLayer, half_curvature_coefficients, leading_directions, mean_shift
from chainzrule.training.nn.network import Network, Output
from chainzrule.training.nn.ordinal import CumulativeLogits, level_probabilities, level_widths


def last_layer(task: Task) -> type[Output]:
    """What turns a network's last hidden layer into the task's scores."""
    return CumulativeLogits if task == "ordinal" else nn.Linear


@dataclass(frozen=True)
class TargetScale:
    """A regression target's mean and standard deviation over the training rows; the network fits it standardised."""

    mean: float = 0.0
    std: float = 1.0


@dataclass(frozen=True)
class FittedModel:
    """A network and what turns raw features into its inputs, and its outputs into scores.

    Every method computes in float64 and step by step, as docs/science.md defines it: nothing is folded together.
    """

    task: Task
    network: Network
    columns: Columns
    target: TargetScale

    def scores(self, x: Tensor) -> Tensor:
        """(rows, S) scores of (rows, D) raw features: centred or cumulative logits, or the output in its unit."""
        mean, std = (torch.from_numpy(values) for values in (self.columns.mean, self.columns.std))
        return self._scored(self._double, (x.double() - mean) / std)

    def jacobian(self, x: Tensor) -> Tensor:
        """(rows, S, D) closed-form d scores / d features in raw units."""
        mean, std = (torch.from_numpy(values) for values in (self.columns.mean, self.columns.std))
        derivative = input_jacobian(self._double, (x.double() - mean) / std) / std
        if self.task == "regression":
            return derivative * self.target.std
        if isinstance(self._double.output, CumulativeLogits):  # all scores move together
            return derivative.expand(-1, len(self._double.output.thresholds), -1)
        return derivative - derivative.mean(dim=1, keepdim=True)

    def probabilities(self, x: Tensor) -> Tensor:
        """(rows, K) of the labels; a regression has none."""
        if isinstance(self._double.output, CumulativeLogits):
            return level_probabilities(self.scores(x), level_widths(self._double.output.thresholds))
        return self.scores(x).softmax(dim=1)

    def covariance(self, x: Tensor) -> Tensor:
        """(rows, S, S) first-order covariance J N^2 J^T of the scores under the declared noise."""
        noisy = self.jacobian(x) * torch.from_numpy(self.columns.noise)
        return noisy @ noisy.transpose(1, 2)

    def mean_shift(self, x: Tensor) -> Tensor | None:
        """(rows, S) what one noise sigma adds to the scores' mean, to second order; None for a regression."""
        if self.task == "regression":
            return None
        network, columns = self._double, self.columns
        mean, std, noise = (torch.from_numpy(values) for values in (columns.mean, columns.std, columns.noise))
        h = (x.double() - mean) / std
        layers, before, slopes = [], [], []
        for layer in network.layers:
            if not isinstance(layer, PolynomialLayer):
                raise TypeError("only polynomial layers have a second derivative")
            curvature = half_curvature_coefficients(list(layer.coefficients[1:]))
            layers.append(NoisyLayer(layer.weight, layer.weight.square(), curvature))
            before.append(layer.linear(h))
            h, slope = layer(h)
            slopes.append(slope)
        leading, rest = leading_directions(layers[0].weight * (noise / std))
        hidden, _ = mean_shift(leading, rest, layers, before, slopes)
        shift = hidden @ network.output.weight.T
        if isinstance(network.output, CumulativeLogits):
            return shift.expand(-1, len(network.output.thresholds))
        return shift - shift.mean(dim=1, keepdim=True)

    def _scored(self, network: Network, standardised: Tensor) -> Tensor:
        scores: Tensor = network(standardised)
        if self.task == "regression":
            return scores * self.target.std + self.target.mean
        if self.task == "ordinal":
            return scores
        # The softmax does not see what all scores share; without it, their covariance needs no more than float32.
        return scores - scores.mean(dim=1, keepdim=True)

    @cached_property
    def _double(self) -> Network:
        return copy.deepcopy(self.network).double().requires_grad_(False)
