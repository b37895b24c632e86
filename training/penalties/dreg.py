"""Computes differential regularisation (DREG): an exact penalty on every hidden layer's derivative.

Per layer (paper: "DREG"): the mean over the batch of ||diag(p'(z_l)) W_l||_F^2 = sum_i p'(z_li)^2 ||w_li||^2, divided
by the layer's width. Because mean and sum change places, it costs one multiplication per slope and per weight, and no
second backward pass.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from chainzrule.training.nn.fused import LayerPenalties

ScheduleForm = Literal["constant", "linear", "cosine"]


@dataclass(frozen=True)
class Schedule:
    """Defines the penalty's factor lambda(t) over training.

    Attributes:
        start: the factor at the first step.
        end: the factor at the last step; equal to `start` for the constant form.
        form: how it moves from one to the other.
    """

    start: float
    end: float
    form: ScheduleForm = "constant"

    def __call__(self, progress: float) -> float:
        """Returns the factor at `progress` between 0 (first step) and 1 (last step)."""
        match self.form:
            case "constant":
                return self.start
            case "linear":
                return self.start + (self.end - self.start) * progress
            case "cosine":
                return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress)) / 2


def dreg(weights: Sequence[Tensor], slopes: Sequence[Tensor], factors: Sequence[float] | None = None) -> Tensor:
    """Returns the sum over layers of factor times the batch mean of ||diag(slope) weight||_F^2 / width.

    Args:
        weights: the layers' (width, inputs).
        slopes: their (batch, width) p'(z); a single row of ones for a linear layer.
        factors: lambda of each layer; 1 when absent.
    """
    factors = (1.0,) * len(weights) if factors is None else factors
    penalty: Tensor = LayerPenalties.apply(factors, *weights, *slopes)  # type: ignore[no-untyped-call]
    return penalty
