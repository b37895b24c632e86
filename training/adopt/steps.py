"""Tests whether a model is smooth on its sample, and which step suits its finite differences."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.differences import central_differences

Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]

STEPS = (0.1, 0.03, 0.01, 0.003)  # candidates, in standard deviations of a feature
ROWS = 64
KINKED = 0.1  # the share of rows that may lie at a kink
AGREEMENT = 0.05  # the largest disagreement of a smooth model's derivative with that at half the step
EXPLAINED = 0.5  # the largest share of the effect of noise that a smooth model's derivative misses, root mean square
FLOOR = 0.1  # the smallest scale, as a share of the batch's largest derivative, for rows whose own vanishes


@dataclass(frozen=True)
class Step:
    """Holds the best step and the figures by which it was chosen.

    Attributes:
        step: how far differences go each way, in standard deviations.
        disagreement: how far the derivative differs from that at half the step, relative to the row's largest; nine
            rows in ten are better.
        unexplained: the share of the scores' change under one noise sigma that the derivative misses, root mean square.
    """

    step: float
    disagreement: float
    unexplained: float

    @property
    def smooth(self) -> bool:
        """Returns whether differences describe what the model does."""
        return self.disagreement <= AGREEMENT and self.unexplained <= EXPLAINED


def choose_step(scores: Callable[[Matrix], Matrix], x: Matrix, std: Floats, noise: Floats, seed: int) -> Step:
    """Returns the step whose differences agree best with those at half the step.

    Args:
        scores: (rows, D) -> (rows, S).
        x: (rows, D) rows to try it on.
        std: (D,) standard deviations of the columns.
        noise: (D,) one noise sigma of each.
        seed: the seed of the noise that the derivative has to explain.
    """
    columns = moving_columns(noise)

    def derivative(step: float) -> Floats:
        return central_differences(scores, x, columns, (step * std[columns]).astype(np.float32)) * std

    tried = []
    for step in STEPS:
        whole = derivative(step)
        tried.append((float(np.quantile(disagreement(derivative(step / 2), whole), 1 - KINKED)), step, whole))
    worst, step, found = min(tried, key=lambda one: one[0])
    drawn = np.random.default_rng(seed).standard_normal(x.shape) * noise
    moved = x + drawn.astype(np.float32)
    change = scores(moved).astype(np.float64) - scores(x)
    foreseen = np.einsum("nsd,nd->ns", found, (moved.astype(np.float64) - x) / std)
    size = float(np.sqrt(np.mean(change**2)))
    missed = float(np.sqrt(np.mean((change - foreseen) ** 2)))
    return Step(step, worst, missed / size if size > 0 else 0.0)


def moving_columns(noise: NDArray[np.floating]) -> NDArray[np.int64]:
    """Returns the columns that have noise, or all where none has: a derivative by the others is not used."""
    moving = np.flatnonzero(noise)
    return moving if len(moving) else np.arange(len(noise))


def disagreement(found: NDArray[np.floating], expected: NDArray[np.floating]) -> Floats:
    """Returns (rows,) the largest difference of (rows, S, D) derivatives, over the row's largest or the floor."""
    scale = np.abs(expected).max(axis=(1, 2))
    scale = np.maximum(scale, FLOOR * scale.max())
    gap = np.abs(found.astype(np.float64) - expected).max(axis=(1, 2))
    return np.asarray(gap / np.where(scale > 0, scale, 1.0))


def half_jumps(scores: Callable[[Matrix], Matrix], x: Matrix, steps: NDArray[np.float32]) -> Floats:
    """Returns (rows, S, D) half the absolute difference between the forward and the backward difference.

    It is large at a kink, where a rectifier is at 0 or the maximum of a window is tied. There the derivative may be
    anything between the two differences.

    Args:
        scores: (rows, D) -> (rows, S).
        x: (rows, D).
        steps: (D,) in the features' units; a column with step 0 has no jump.
    """
    here = scores(x).astype(np.float64)
    jumps = np.zeros((*here.shape, x.shape[1]))
    for column in np.flatnonzero(steps):
        right, left = x.copy(), x.copy()
        right[:, column] += steps[column]
        left[:, column] -= steps[column]
        jumps[..., column] = np.abs(scores(right) + scores(left) - 2 * here) / (2 * steps[column])
    return jumps
