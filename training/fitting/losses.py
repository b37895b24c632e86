"""What the scores are compared with: one loss per task."""

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from chainzrule.service.artifact.interface import Task
from chainzrule.training.nn.ordinal import log_likelihood


class Loss(Protocol):
    """Mean loss of (batch, S) scores against (batch,) targets; `weights`, whose mean over all rows is 1, count rows."""

    def __call__(self, scores: Tensor, targets: Tensor, weights: Tensor | None = None, /) -> Tensor:
        """The mean over the batch."""


def classification(scores: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of (batch, K) scores, in nats, against (batch,) label indices."""
    return _mean(F.cross_entropy(scores, labels, reduction="none"), weights)


def ordinal(scores: Tensor, levels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean negative log likelihood, in nats, of (batch,) level indices under (batch, K - 1) cumulative logits."""
    return _mean(-log_likelihood(scores, levels), weights)


def regression(scores: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean squared error of (batch, 1) scores against (batch,) standardised targets."""
    return _mean((scores.squeeze(1) - targets).square(), weights)


def task_loss(task: Task) -> Loss:
    """The loss of a task."""
    losses: dict[Task, Loss] = {"classification": classification, "ordinal": ordinal, "regression": regression}
    return losses[task]


def _mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    return losses.mean() if weights is None else (weights * losses).mean()
