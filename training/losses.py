"""What the scores are compared with: one loss per task."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from service.artifact.card import Task

Loss = Callable[[Tensor, Tensor], Tensor]


def classification(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of (batch, K) scores, in nats, against (batch,) label indices."""
    return F.cross_entropy(scores, labels)


def regression(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of (batch, 1) scores against (batch,) standardised targets."""
    return F.mse_loss(scores.squeeze(1), targets)


def task_loss(task: Task) -> Loss:
    """The loss of a task."""
    losses: dict[Task, Loss] = {"classification": classification, "regression": regression}
    return losses[task]
