"""Runs held-out rows again and again with the noise that the stability measures assume. Needs no torch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.link import Link
from chainzrule.service.stability.noise import Noise, streams

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Matrix = NDArray[np.float32]
Scores = Callable[[Matrix], NDArray[np.floating]]

NOISE_SCALES = (0.5, 1.0, 2.0, 5.0, 10.0)
MAX_ROWS = 2000
MIN_ROWS = 50
DRAWS = 200
MAX_VALUES = 2**29  # the most noisy input values in all, so that wide rows are fewer
CHUNK = 2**22  # the most noisy input values in memory at a time


@dataclass(frozen=True)
class Simulation:
    """Holds a model's outputs on rows, and the effect of noise on them.

    Attributes:
        scores: (rows, S) the scores.
        covariance: (rows, S, S) at one noise sigma.
        mean_shift: (rows, S) at one noise sigma; None counts as 0.
        flips: (noise scales, rows) share of the draws that changed the label; 0 for a regression.
        spread: (noise scales, rows) standard deviation of the reported output over the draws.
    """

    scores: NDArray[np.floating]
    covariance: NDArray[np.floating]
    mean_shift: NDArray[np.floating] | None
    flips: Floats
    spread: Floats


def choose_rows(rows: int, width: int, limit: int, seed: int) -> Indices:
    """Returns the indices of the rows to simulate: at most `limit`, and fewer of wide ones, which bounds the time."""
    count = min(rows, limit, max(MIN_ROWS, MAX_VALUES // (DRAWS * width)))
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])


def simulate(
    link: Link,
    scores: Scores,
    x: Matrix,
    noise: Noise,
    seed: int,
    draws: int = DRAWS,
    noise_scales: Sequence[float] = NOISE_SCALES,
) -> tuple[Floats, Floats]:
    """Runs rows with drawn noise, the same draws at every scale, and returns a simulation's flips and spread.

    Args:
        link: what the scores mean.
        scores: (rows, S) scores of raw rows.
        x: (rows, D) raw rows.
        noise: what is drawn, in raw units.
        seed: the seed of the draws.
        draws: how many a row.
        noise_scales: multiples of the noise.
    """
    random = np.random.default_rng(seed)
    flips, spread = np.zeros((2, len(noise_scales), len(x)))
    rows = max(1, CHUNK // (draws * x.shape[1]))
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        label = link.label(scores(part).astype(np.float64))
        for number, noisy in enumerate(_drawn(random, part, noise, draws, noise_scales)):
            moved = scores(noisy.reshape(-1, x.shape[1])).astype(np.float64)
            outputs = link.output(moved, np.repeat(label, draws)).reshape(len(part), draws)
            changed = link.label(moved).reshape(len(part), draws) != label[:, None]
            flips[number, start : start + rows] = changed.mean(axis=1)
            spread[number, start : start + rows] = outputs.std(axis=1, ddof=1)
    return flips, spread


def _drawn(
    random: np.random.Generator, x: Matrix, noise: Noise, draws: int, noise_scales: Sequence[float]
) -> Iterator[Matrix]:
    """Yields (rows, draws, D) rows with drawn noise for each scale, by the same draws."""
    if noise.is_plain:
        drawn = random.standard_normal((len(x), draws, x.shape[1]), dtype=np.float32) * noise.sd.astype(np.float32)
        yield from (x[:, None] + np.float32(scale) * drawn for scale in noise_scales)
        return
    seeds = random.integers(2**32, size=len(x))
    for scale in noise_scales:
        yield np.stack([noise.draw(streams(int(seed)), row, scale, draws) for seed, row in zip(seeds, x, strict=True)])
