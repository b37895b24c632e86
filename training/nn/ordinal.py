# ruff: noqa: F722 -- jaxtyping's shape strings are not forward references
"""Defines the last layer of ordinal networks, cumulative logits (paper: "Ordinal regression").

It states P(level > k) = sigmoid(f - b_k).

The thresholds are ordered, b_1 < b_2 < ... One number f says how far up the scale a row lies, and the thresholds b_k
cut the scale into levels. So a network has one output whatever the number of levels, and its scores s_k = f - b_k have
one derivative, shared by all of them.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

MIN_SHARE = 1e-3  # the smallest share of a level from which its threshold is initialised
MIN_GAP = 1e-6  # the smallest gap between two thresholds, which float32 can still distinguish


class CumulativeLogits(nn.Module):
    """Is the last layer of an ordinal network: s_k = w h - b_k.

    Learned are w, the first threshold, and for every further one a number whose softplus is its distance from the one
    before: whatever an optimiser makes of them, the thresholds stay in order.
    """

    linear: nn.Linear
    first: nn.Parameter
    increments: nn.Parameter

    def __init__(self, inputs: int, scores: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 1, bias=False)
        self.first = nn.Parameter(torch.zeros(1))
        self.increments = nn.Parameter(torch.zeros(scores - 1))
        self.start_from(torch.ones(scores + 1))

    @property
    def weight(self) -> Float[Tensor, "1 inputs"]:
        """Returns the (1, inputs) W, the derivative of f and of every score."""
        return self.linear.weight

    @property
    def bias(self) -> Float[Tensor, " scores"]:
        """Returns the negative thresholds, which are added to f."""
        return -self.thresholds

    @property
    def thresholds(self) -> Float[Tensor, " scores"]:
        """Returns b_1 < b_2 < ..., where one level ends and the next begins."""
        return torch.cat([self.first, self.first + F.softplus(self.increments).cumsum(0)])

    def start_from(self, counts: Float[Tensor, " levels"]) -> None:
        """Sets the thresholds so that f = 0 gives the levels' shares; empty levels count as having a few rows.

        Args:
            counts: the number of rows of every level, or the sum of their weights.
        """
        shares = counts.double() / counts.double().sum() + MIN_SHARE
        thresholds = torch.logit((shares / shares.sum()).cumsum(0)[:-1])
        with torch.no_grad():
            self.first.copy_(thresholds[:1])
            self.increments.copy_(torch.log(torch.expm1(thresholds.diff().clamp_min(MIN_GAP))))

    def forward(self, h: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch scores"]:
        """Returns the scores, from high to low."""
        scores: Tensor = self.linear(h) - self.thresholds
        return scores
