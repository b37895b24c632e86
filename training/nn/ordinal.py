# ruff: noqa: F722 -- jaxtyping's shape strings are not forward references
"""Ordered levels by cumulative logits (paper: "Ordinal regression"): P(level > k) = sigmoid(f - b_k), b_1 < b_2 < ...

One number f says how far up the scale a row lies; the thresholds b_k cut the scale into levels. So a network has one
output whatever the number of levels, and its scores s_k = f - b_k have one derivative, shared by all of them.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

BEYOND = 1e30  # the score of exceeding what lies under the lowest level; its negative, of exceeding the highest
LEAST_SHARE = 1e-3  # of a level, where its threshold starts
LEAST_GAP = 1e-6  # of two thresholds, in float32 that has to tell them apart


class CumulativeLogits(nn.Module):
    """The last layer of an ordinal network: s_k = w h - b_k.

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
        """W, the derivative of f and of every score."""
        return self.linear.weight

    @property
    def bias(self) -> Float[Tensor, " scores"]:
        """What is added to f: the thresholds' negatives."""
        return -self.thresholds

    @property
    def thresholds(self) -> Float[Tensor, " scores"]:
        """b_1 < b_2 < ..., where one level ends and the next begins."""
        return torch.cat([self.first, self.first + F.softplus(self.increments).cumsum(0)])

    def start_from(self, counts: Float[Tensor, " levels"]) -> None:
        """Set the thresholds so that f = 0 means the levels' shares, and a little for levels that have none.

        Args:
            counts: rows of every level, or their weights.
        """
        shares = counts.double() / counts.double().sum() + LEAST_SHARE
        thresholds = torch.logit((shares / shares.sum()).cumsum(0)[:-1])
        with torch.no_grad():
            self.first.copy_(thresholds[:1])
            self.increments.copy_(torch.log(torch.expm1(thresholds.diff().clamp_min(LEAST_GAP))))

    def forward(self, h: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch scores"]:
        """The scores, from high to low."""
        scores: Tensor = self.linear(h) - self.thresholds
        return scores


def level_widths(thresholds: Float[Tensor, " scores"]) -> Float[Tensor, " inner"]:
    """1 - exp(b_k - b_k+1) of every level between two thresholds: a constant of the layer, exact for narrow levels."""
    return -torch.expm1(-thresholds.diff())


def level_probabilities(
    scores: Float[Tensor, "batch scores"], widths: Float[Tensor, " inner"]
) -> Float[Tensor, "batch levels"]:
    """P(level = k) = sigmoid(s_k) - sigmoid(s_k+1), as the product sigmoid(s_k) sigmoid(-s_k+1) (1 - exp(b_k - b_k+1)).

    The product has no cancellation: an unlikely level's probability is as exact as a likely one's.

    Args:
        scores: s_k = f - b_k.
        widths: the layer's `level_widths`.
    """
    above, below = scores.sigmoid(), (-scores).sigmoid()
    return torch.cat([below[:, :1], above[:, :-1] * below[:, 1:] * widths, above[:, -1:]], dim=1)


def log_likelihood(scores: Float[Tensor, "batch scores"], levels: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Log P(level) of every row's own level, by the same product: finite and with a slope however wrong the scores."""
    own = levels.unsqueeze(1)
    reached = F.pad(scores, (1, 0), value=BEYOND).gather(1, own).squeeze(1)
    exceeded = F.pad(scores, (0, 1), value=-BEYOND).gather(1, own).squeeze(1)
    gap = (reached - exceeded).clamp_min(LEAST_GAP)
    return F.logsigmoid(reached) + F.logsigmoid(-exceeded) + torch.log(-torch.expm1(-gap))
