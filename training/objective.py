"""What a step of the optimiser lowers: the task's loss, and with DREG the penalty on the layers' derivatives."""

from collections.abc import Callable

from torch import Tensor

from training.dreg import Schedule, dreg
from training.losses import Loss
from training.nn.jacobian import hidden_weights
from training.nn.network import Network

Objective = Callable[..., Tensor]
"""A batch's (rows, D) features and (rows,) targets, and the progress of training from 0 to 1, to a number to lower.

Where rows have weights, those come fourth: (rows,), their mean over all training rows 1.
"""


def plain(network: Callable[[Tensor], Tensor], loss: Loss) -> Objective:
    """The task's loss alone."""
    return lambda x, y, _, weights=None: loss(network(x), y, weights)


def derivative_controlled(network: Network, loss: Loss, penalty: Schedule | None) -> Objective:
    """The task's loss and, where a schedule is given, lambda(progress) times DREG, from one forward pass."""
    if penalty is None:
        return plain(network, loss)
    weights = hidden_weights(network)

    def objective(x: Tensor, y: Tensor, progress: float, rows: Tensor | None = None) -> Tensor:
        scores, slopes = network.propagate(x)
        if rows is not None:  # the penalty is a mean of squares over the rows
            slopes = tuple(slope * rows.sqrt().unsqueeze(1) for slope in slopes)
        return loss(scores, y, rows) + penalty(progress) * dreg(weights, slopes)

    return objective
