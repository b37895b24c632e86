"""Defines the objective of an optimiser's step: the task's loss, and with DREG the penalty on derivatives."""

from collections.abc import Callable

from torch import Tensor

from chainzrule.training.fitting.losses import Loss
from chainzrule.training.nn.network import Network
from chainzrule.training.penalties.dreg import Schedule
from chainzrule.training.penalties.penalty import Penalty

Objective = Callable[..., Tensor]
"""A batch's (rows, D) features and (rows,) targets, and the progress of training from 0 to 1, to a number to lower.

Where rows have weights, those come fourth: (rows,), their mean over all training rows 1.
"""


def plain(network: Callable[[Tensor], Tensor], loss: Loss) -> Objective:
    """Returns the objective of the task's loss alone."""
    return lambda x, y, _, weights=None: loss(network(x), y, weights)


def derivative_controlled(network: Network, loss: Loss, penalty: Penalty | Schedule | None) -> Objective:
    """Returns the objective of the task's loss and, where given, DREG, from one forward pass.

    A schedule alone stands for the per-layer penalty.
    """
    if penalty is None:
        return plain(network, loss)
    controlled = Penalty(penalty) if isinstance(penalty, Schedule) else penalty

    def objective(x: Tensor, y: Tensor, progress: float, rows: Tensor | None = None) -> Tensor:
        passed = network.propagate(x)
        return loss(passed.scores, y, rows) + controlled(network, passed, progress, rows)

    return objective
