# ruff: noqa: F722 -- jaxtyping's shape strings are not forward references
"""Computes DREG on the predicted distribution: the trace of the input's Fisher information.

A network's likelihood p(y | x) has the Fisher information I(x) = E_y[grad_x log p grad_x log p^T] in its input, the
expectation over its own answers: to second order, moving x by d changes the predicted distribution by d^T I d / 2 nats.
Its trace is what this penalty holds down:

    tr I(x) = E_y ||v_y^T J||^2,    v_y = d log p(y | scores) / d scores,    J = d scores / d x.

J is never built: v^T J is a chain of matrix products through the layers' slopes, which are there already, where
automatic differentiation needs a second backward pass. No label enters. Over few answers the expectation is computed;
over more, one answer is drawn for every row, and the value is unbiased. Its gradient then takes the drawn answers as
given. With a regression's unit normal likelihood, v is 1 and the trace is ||J||^2.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from chainzrule.service.artifact.interface import Task
from chainzrule.training.nn.link import Link, link_of


def fisher_penalty(
    task: Task,
    scores: Float[Tensor, "batch scores"],
    output: Float[Tensor, "rows width"],
    weights: Sequence[Tensor],
    slopes: Sequence[Tensor],
    rows: Tensor | None = None,
    exact_answers: int = 0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Returns the batch mean of tr I(x), to be multiplied by the schedule's factor.

    Args:
        task: decides the likelihood.
        scores: the batch's scores.
        output: weights of the last layer; a single row where all scores have one derivative, as ordinal ones have.
        weights: the hidden layers' (width, inputs) weights, first to last.
        slopes: the hidden layers' (batch, width) slopes.
        rows: (batch,) weights of the rows, their mean 1, or None where all count alike.
        exact_answers: up to so many possible answers the expectation is computed instead of drawn.
        generator: draws the answers.
    """
    shares, directions = answers(link_of(task), scores, exact_answers, generator)
    if len(output) < directions.shape[2]:
        directions = directions.sum(dim=2, keepdim=True)
    derivative = directions @ output
    for weight, slope in zip(reversed(weights[1:]), reversed(slopes[1:]), strict=True):
        derivative = (derivative * slope.unsqueeze(1)) @ weight
    norms = squared_norms((derivative * slopes[0].unsqueeze(1)).flatten(0, 1), weights[0]).view(shares.shape)
    traces = (shares * norms).sum(dim=1)
    return (traces if rows is None else traces * rows).mean()


def answers(
    link: Link, scores: Float[Tensor, "batch scores"], exact: int, generator: torch.Generator | None = None
) -> tuple[Float[Tensor, "batch answers"], Float[Tensor, "batch answers scores"]]:
    """Returns the answers' shares in the expectation, and the gradient of each one's log likelihood.

    The answers are all the possible ones where these are at most `exact`, and else one a row, drawn by its likelihood.
    """
    p = link.probabilities(scores)
    if p is None:  # a regression's unit normal law needs one answer only: the gradient's mean square is 1
        labels = torch.zeros_like(scores, dtype=torch.int64)
        shares = torch.ones_like(scores)
    elif p.shape[1] <= exact:
        labels = torch.arange(p.shape[1], device=p.device).expand(len(p), -1)
        shares = p
    else:
        labels = torch.multinomial(p.detach(), 1, generator=generator)
        shares = torch.ones_like(p[:, :1])
    return shares, link.likelihood_gradient(scores, p, labels)


def squared_norms(rows: Float[Tensor, "batch width"], weight: Float[Tensor, "width inputs"]) -> Float[Tensor, " batch"]:
    """Returns ||row W||^2 of every row, computed by the smaller of two equivalent products."""
    if weight.shape[0] < len(rows):
        return (rows @ (weight @ weight.T) * rows).sum(dim=1)
    return (rows @ weight).square().sum(dim=1)
