"""DREG on the accumulated Jacobian: the trace of the input's Fisher information, from the same forward pass.

A network's likelihood p(y | x) has the Fisher information I(x) = E_y[grad_x log p grad_x log p^T] in its input, the
expectation over its own answers: to second order, moving x by d changes the predicted distribution by d^T I d / 2 nats.
Its trace is what this penalty holds down:

    tr I(x) = E_y ||v_y^T J||^2,    v_y = d log p(y | scores) / d scores,    J = d scores / d x.

One answer is drawn for every row, so J is never built: v^T J is a chain of matrix products through the layers' slopes,
which are there already. Automatic differentiation needs a second backward pass for the same. No label enters, and the
estimate is unbiased. With a regression's unit normal likelihood, v is 1 and the trace is ||J||^2, exact.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from service.artifact.card import Task


def fisher_penalty(
    task: Task, scores: Tensor, output: Tensor, weights: Sequence[Tensor], slopes: Sequence[Tensor]
) -> Tensor:
    """The batch mean of tr I(x), by one drawn answer a row; to be multiplied by the schedule's factor.

    Args:
        task: decides the likelihood.
        scores: (batch, S).
        output: (S, width) weights of the last layer.
        weights: the hidden layers' (width, inputs) weights, first to last.
        slopes: the hidden layers' (batch, width) slopes.
    """
    derivative = directions(task, scores) @ output
    for weight, slope in zip(reversed(weights[1:]), reversed(slopes[1:]), strict=True):
        derivative = (derivative * slope) @ weight
    return squared_norms(derivative * slopes[0], weights[0]).mean()


def directions(task: Task, scores: Tensor) -> Tensor:
    """(batch, S) gradients of the log likelihood in the scores, each at an answer drawn from the likelihood itself."""
    if task == "regression":
        return torch.ones_like(scores)
    if task == "classification":
        p = scores.softmax(dim=1)
        drawn = torch.multinomial(p.detach(), 1).squeeze(1)
        return F.one_hot(drawn, scores.shape[1]).to(p.dtype) - p
    # Ordinal: P(level > k) = sigmoid(s_k), and a level's probability is the difference of two neighbours.
    above = F.pad(F.pad(scores.sigmoid(), (1, 0), value=1.0), (0, 1))
    p = (above[:, :-1] - above[:, 1:]).clamp_min(1e-12)
    drawn = torch.multinomial(p.detach(), 1)
    slope = F.pad((above * (1 - above))[:, 1:-1], (1, 1))
    lower, upper = (slope.gather(1, drawn + side) for side in (0, 1))
    chosen = p.gather(1, drawn)
    level = torch.arange(scores.shape[1], device=scores.device)
    return ((level == drawn - 1) * lower - (level == drawn) * upper) / chosen


def squared_norms(rows: Tensor, weight: Tensor) -> Tensor:
    """(batch,) ||row W||^2 of (batch, width) rows and (width, inputs) weights, by whichever product is smaller."""
    if weight.shape[0] < len(rows):
        return (rows @ (weight @ weight.T) * rows).sum(dim=1)
    return (rows @ weight).square().sum(dim=1)
