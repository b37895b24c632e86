"""Defines a fitted network in raw units at both ends, with which the exported graphs are compared."""

import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from chainzrule.service.artifact.interface import Task
from chainzrule.training.columns import Columns
from chainzrule.training.nn.jacobian import input_jacobian
from chainzrule.training.nn.layers import PolynomialLayer
from chainzrule.training.nn.link import Link, TargetScale, link_of
from chainzrule.training.nn.meanshift import NoisyLayer, half_curvature_coefficients, leading_directions, mean_shift
from chainzrule.training.nn.network import Network


@dataclass(frozen=True)
class FittedModel:
    """Holds a network with the scaling of its raw inputs and of its outputs.

    Every method computes in float64 and step by step, as docs/science.md defines it: nothing is folded together.
    """

    task: Task
    network: Network
    columns: Columns
    target: TargetScale

    @property
    def link(self) -> Link:
        """Returns the link, which says what the scores mean."""
        return link_of(self.task)

    def scores(self, x: Tensor) -> Tensor:
        """Returns (rows, S) scores of (rows, D) raw features: centred or cumulative logits, or a number in its unit."""
        mean, std = (torch.from_numpy(values) for values in (self.columns.mean, self.columns.std))
        return self.link.in_units(self._double((x.double() - mean) / std), self.target)

    def jacobian(self, x: Tensor) -> Tensor:
        """Returns (rows, S, D) closed-form d scores / d features in raw units."""
        mean, std = (torch.from_numpy(values) for values in (self.columns.mean, self.columns.std))
        derivative = input_jacobian(self._double, (x.double() - mean) / std) / std
        return self.link.slope_in_units(derivative, self.target).expand(-1, len(self._double.output.bias), -1)

    def probabilities(self, x: Tensor) -> Tensor | None:
        """Returns (rows, K) probabilities of the labels; None for a regression."""
        return self.link.probabilities(self.scores(x), self.link.level_widths(self._double.output.bias))

    def covariance(self, x: Tensor) -> Tensor:
        """Returns (rows, S, S) first-order covariance J N^2 J^T of the scores under the declared noise."""
        noisy = self.jacobian(x) * torch.from_numpy(self.columns.noise)
        return noisy @ noisy.transpose(1, 2)

    def mean_shift(self, x: Tensor) -> Tensor | None:
        """Returns (rows, S) the shift of the scores' mean at one noise sigma (second order); None for a regression."""
        if not self.link.has_labels:
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
        shift = self.link.slope_in_units(hidden @ network.output.weight.T, self.target)
        return shift.expand(-1, len(network.output.bias))

    @cached_property
    def _double(self) -> Network:
        return copy.deepcopy(self.network).double().requires_grad_(False)
