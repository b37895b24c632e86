"""A fitted network with the raw units at both of its ends: the definition that the exported graphs are held against."""

import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from service.artifact.card import Task
from training.columns import Columns
from training.nn.jacobian import input_jacobian
from training.nn.network import Network


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
        """(rows, S) scores of (rows, D) raw features: centred logits, or the output in the target's unit."""
        mean, std = (torch.from_numpy(values) for values in (self.columns.mean, self.columns.std))
        return self._scored(self._double, (x.double() - mean) / std)

    def jacobian(self, x: Tensor) -> Tensor:
        """(rows, S, D) closed-form d scores / d features in raw units."""
        mean, std = (torch.from_numpy(values) for values in (self.columns.mean, self.columns.std))
        derivative = input_jacobian(self._double, (x.double() - mean) / std) / std
        if self.task == "regression":
            return derivative * self.target.std
        return derivative - derivative.mean(dim=1, keepdim=True)

    def covariance(self, x: Tensor) -> Tensor:
        """(rows, S, S) first-order covariance J N^2 J^T of the scores under the declared noise."""
        noisy = self.jacobian(x) * torch.from_numpy(self.columns.noise)
        return noisy @ noisy.transpose(1, 2)

    def _scored(self, network: Network, standardised: Tensor) -> Tensor:
        scores: Tensor = network(standardised)
        if self.task == "regression":
            return scores * self.target.std + self.target.mean
        # The softmax does not see what all scores share; without it, their covariance needs no more than float32.
        return scores - scores.mean(dim=1, keepdim=True)

    @cached_property
    def _double(self) -> Network:
        return copy.deepcopy(self.network).double().requires_grad_(False)
