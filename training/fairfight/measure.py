"""Measures a fitted network on rows it has not seen, the same for every method, by automatic differentiation."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from chainzrule.training.fairfight.problems import Problem
from chainzrule.training.fitting.loop import Batch
from chainzrule.training.fitting.losses import task_loss
from chainzrule.training.measure.quality import agreement
from chainzrule.training.nn.link import Link

Network = Callable[[Tensor], Tensor]

CHUNK = 500
ATTACKED_ROWS = 1000
GLANCED_ROWS = 2000  # validation rows whose derivatives are computed
ATTACK = 0.1  # largest change of a feature, in its standard deviations (on MNIST 0.03 of the grey scale)
ATTACK_STEPS = 10
NOISE = 0.5  # standard deviation of Gaussian noise, in the features' standard deviations

FIGURES = {
    "score": "accuracy from 0 to 1, or root mean squared error in the target's standard deviations",
    "peak_p99": "99th percentile of g, the norm of d probabilities (or output) / d standardised features",
    "peak_max": "its largest value",
    "tail_ratio": "99th percentile over mean of the norm of d scores / d standardised features",
    "noisy": "score under Gaussian noise",
    "corrupted": "mean score under the corruptions of the problem's kind",
    "mae": "mean absolute error in levels, where they are ordered",
    "kappa": "quadratic kappa, where levels are ordered",
    "attacked": "score under projected gradient descent, on the first rows",
}
"""What is measured of a network on test rows."""


def glance(network: Network, problem: Problem, differentiable: bool) -> dict[str, float]:
    """Returns the score and the peak on validation rows, by which settings are chosen; for trees the score alone."""
    x, y = problem.validation
    figures = {"score": score(network, (x, y), problem.link)}
    if differentiable:
        g, _ = gradient_norms(network, x[:GLANCED_ROWS], problem.link)
        figures |= {"peak_p99": float(np.percentile(g, 99)), "peak_max": float(g.max())}
    return figures


def measure(network: Network, problem: Problem, differentiable: bool) -> dict[str, float]:
    """Returns the figures on the problem's test rows; for trees those that need no derivative."""
    x, y = problem.test
    noise = torch.Generator().manual_seed(0)
    noisy = x + NOISE * torch.randn(x.shape, generator=noise)
    figures = {
        "score": score(network, (x, y), problem.link),
        "noisy": score(network, (noisy, y), problem.link),
        "corrupted": float(np.mean([score(network, (bad, y), problem.link) for bad in corruptions(problem, x)])),
    }
    if problem.levels:
        found = agreement(y.numpy(), labels(network, x, problem.link).numpy())
        figures |= {"mae": found["mae"], "kappa": found["quadratic_kappa"]}
    if not differentiable:
        return figures
    g, of_scores = gradient_norms(network, x, problem.link)
    attacked = x[:ATTACKED_ROWS], y[:ATTACKED_ROWS]
    return figures | {
        "peak_p99": float(np.percentile(g, 99)),
        "peak_max": float(g.max()),
        "tail_ratio": float(np.percentile(of_scores, 99) / max(of_scores.mean(), 1e-12)),
        "attacked": score(network, (attack(network, attacked, problem.link), attacked[1]), problem.link),
    }


def score(network: Network, batch: Batch, link: Link) -> float:
    """Returns the accuracy, or the root mean squared error."""
    x, y = batch
    if link.has_labels:
        return float((labels(network, x, link) == y).double().mean())
    return float((link.output(_scores(network, x)) - y).square().mean().sqrt())


def labels(network: Network, x: Tensor, link: Link) -> Tensor:
    """Returns the (rows,) indices of the predicted labels."""
    return link.label(_scores(network, x))


def _scores(network: Network, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([network(chunk) for chunk in torch.split(x, 10 * CHUNK)])


def gradient_norms(network: Network, x: Tensor, link: Link) -> tuple[np.ndarray, np.ndarray]:
    """Returns (rows,) norms of d probabilities / d x (regression: d output / d x), and of d scores / d x."""
    norms, of_scores = [], []
    for chunk in torch.split(x, CHUNK):
        chunk = chunk.detach().requires_grad_()
        scores = network(chunk)
        columns = link.derivatives(scores.shape[1])
        rows = [torch.autograd.grad(scores[:, k].sum(), chunk, retain_graph=k + 1 < columns)[0] for k in range(columns)]
        jacobian = torch.stack(rows, dim=1)
        of_scores.append(jacobian.flatten(1).double().norm(dim=1))
        norms.append(link.through(scores.detach(), jacobian).flatten(1).double().norm(dim=1))
    return torch.cat(norms).numpy(), torch.cat(of_scores).numpy()


def attack(network: Network, batch: Batch, link: Link) -> Tensor:
    """Returns features moved by at most ATTACK each so that the loss grows.

    They are found by projected gradient ascent (Madry et al. 2018).
    """
    x, y = batch
    loss, moved = task_loss(link.task), x.clone()
    for _ in range(ATTACK_STEPS):
        moved = moved.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(network(moved), y), moved)
        step = moved.detach() + 2.5 * ATTACK / ATTACK_STEPS * gradient.sign()
        moved = torch.clamp(step, x - ATTACK, x + ATTACK)
    return moved.detach()


def corruptions(problem: Problem, x: Tensor) -> list[Tensor]:
    """Returns the test features under each corruption that this kind of problem meets in use."""
    generator = torch.Generator().manual_seed(1)
    if problem.kind != "image":
        # For tables a tenth of the values goes missing, or every sensor drifts by its own amount.
        lost = torch.rand(x.shape, generator=generator) < 0.1
        drift = x + 0.5 * torch.randn(x.shape[1], generator=generator)
        return [x.masked_fill(lost, 0.0), drift]
    side = problem.side
    images = x.view(-1, 1, side, side)
    blurred = F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    faint = images.amin() + 0.4 * (images - images.amin())
    shifted = torch.roll(images, (1, 1), dims=(2, 3))
    covered = images.clone()
    start = side // 2 - side // 8
    covered[..., start : start + side // 4, : side // 4] = images.amin()
    speckled = torch.where(torch.rand(images.shape, generator=generator) < 0.05, images.amax(), images)
    return [corrupted.flatten(1) for corrupted in (blurred, faint, shifted, covered, speckled)]
