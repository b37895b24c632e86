"""Differential regularisation: a penalty on every hidden layer's derivative, exact, in the same forward pass.

Per layer (paper: "DREG"): the mean over the batch of ||diag(p'(z_l)) W_l||_F^2 = sum_i p'(z_li)^2 ||w_li||^2, divided
by the layer's width. Because mean and sum change places, it costs one multiplication per slope and per weight, and no
second backward pass.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from training.nn.fused import LayerPenalty

ScheduleForm = Literal["constant", "linear", "cosine"]


@dataclass(frozen=True)
class Schedule:
    """The penalty's factor lambda(t) over training.

    Attributes:
        start: the factor at the first step.
        end: the factor at the last step; equal to `start` for the constant form.
        form: how it moves from one to the other.
    """

    start: float
    end: float
    form: ScheduleForm = "constant"

    def __call__(self, progress: float) -> float:
        """The factor at `progress` between 0 (first step) and 1 (last step)."""
        match self.form:
            case "constant":
                return self.start
            case "linear":
                return self.start + (self.end - self.start) * progress
            case "cosine":
                return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress)) / 2


def layer_penalty(weight: Tensor, slope: Tensor) -> Tensor:
    """Mean over the batch of ||diag(slope) weight||_F^2 / width.

    Args:
        weight: (width, inputs).
        slope: (batch, width), p'(z).
    """
    penalty: Tensor = LayerPenalty.apply(weight, slope)  # type: ignore[no-untyped-call]
    return penalty


def output_penalty(weight: Tensor) -> Tensor:
    """The linear last layer's own term, ||W||_F^2 / scores: its slope is 1."""
    return weight.square().sum(1).mean()


def dreg(weights: Sequence[Tensor], slopes: Sequence[Tensor]) -> Tensor:
    """The penalty summed over the hidden layers; to be multiplied by the schedule's factor."""
    return torch.stack([layer_penalty(*layer) for layer in zip(weights, slopes, strict=True)]).sum()
