"""Defines the tasks' losses: means over the batch, whose rows may have weights."""

from typing import Protocol

from torch import Tensor

from chainzrule.service.artifact.interface import Task
from chainzrule.training.nn.link import link_of


class Loss(Protocol):
    """Computes the mean loss of (batch, S) scores against (batch,) targets.

    `weights` are those of the rows; their mean over all rows is 1.
    """

    def __call__(self, scores: Tensor, targets: Tensor, weights: Tensor | None = None, /) -> Tensor:
        """Returns the mean over the batch."""


def task_loss(task: Task) -> Loss:
    """Returns the loss of a task: the mean negative log likelihood in nats, or the mean squared error."""
    link = link_of(task)

    def loss(scores: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        losses = link.losses(scores, targets)
        return losses.mean() if weights is None else (weights * losses).mean()

    return loss
