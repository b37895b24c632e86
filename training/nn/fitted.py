"""Defines a fitted network in raw units at both ends, with which the exported graphs are compared."""

import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from chainzrule.service.artifact.interface import Task
from chainzrule.training.columns import Columns
from chainzrule.training.nn.bending import Bending, Bent
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
        return self.link.in_units(self._double(self._standardised(x)[0]), self.target)

    def jacobian(self, x: Tensor) -> Tensor:
        """Returns (rows, S, D) closed-form d scores / d features in raw units."""
        standardised, slopes, _ = self._standardised(x)
        derivative = input_jacobian(self._double, standardised) * slopes.unsqueeze(1)
        return self.link.slope_in_units(derivative, self.target).expand(-1, len(self._double.output.bias), -1)

    def probabilities(self, x: Tensor) -> Tensor | None:
        """Returns (rows, K) probabilities of the labels; None for a regression."""
        return self.link.probabilities(self.scores(x), self.link.level_widths(self._double.output.bias))

    def covariance(self, x: Tensor) -> Tensor:
        """Returns (rows, S, S) first-order covariance J N N^T J^T of the scores under the declared noise."""
        noisy = self.noisy(x)
        return noisy @ noisy.transpose(1, 2)

    def noisy(self, x: Tensor) -> Tensor:
        """Returns (rows, S, m) the scores' Jacobian times the root N of the noise's covariance."""
        jacobian, errors = self.jacobian(x), self.columns.errors
        if errors is None or not errors.together:
            return jacobian * torch.from_numpy(self.columns.noise)
        return jacobian @ torch.from_numpy(errors.root())

    def mean_shift(self, x: Tensor) -> Tensor | None:
        """Returns (rows, S) the shift of the scores' mean at one noise sigma (second order); None for a regression."""
        if not self.link.has_labels:
            return None
        network, noise = self._double, torch.from_numpy(self.columns.noise)
        h, rises, curvatures = self._standardised(x)
        layers, before, slopes = [], [], []
        for layer in network.layers:
            if not isinstance(layer, PolynomialLayer):
                raise TypeError("only polynomial layers have a second derivative")
            curvature = half_curvature_coefficients(list(layer.coefficients[1:]))
            layers.append(NoisyLayer(layer.weight, layer.weight.square(), curvature))
            before.append(layer.linear(h))
            h, slope = layer(h)
            slopes.append(slope)
        weight, bends = layers[0].weight, self.columns.bends
        standard = weight / torch.from_numpy(self.columns.spread)
        root = torch.from_numpy(self.columns.noise_root)
        leading, rest = leading_directions(standard * root if root.ndim == 1 else standard @ root)
        start = None
        if bends is not None:
            noisy = (rises * noise)[:, bends.index].unsqueeze(2) * weight.T[bends.index]
            leading = torch.cat([leading.expand(len(x), -1, -1), noisy], dim=1)
            start = (curvatures * noise.square() / 2) @ weight.T
        hidden, _ = mean_shift(leading, rest, layers, before, slopes, start)
        shift = self.link.slope_in_units(hidden @ network.output.weight.T, self.target)
        return shift.expand(-1, len(network.output.bias))

    def _standardised(self, x: Tensor) -> Bent:
        """Returns what the network takes of raw features, and its first two derivatives by them."""
        mean, std = (torch.from_numpy(values) for values in (self.columns.centre, self.columns.spread))
        if self.columns.bends is None:
            return Bent((x.double() - mean) / std, (1.0 / std).expand(x.shape), torch.zeros(x.shape).double())
        values, slopes, curvatures = Bending.of(self.columns.bends, torch.float64)(x.double())
        return Bent((values - mean) / std, slopes / std, curvatures / std)

    @cached_property
    def _double(self) -> Network:
        return copy.deepcopy(self.network).double().requires_grad_(False)
