"""Runs rows through the model again with drawn noise, batch by batch, between other requests' runs."""

import asyncio
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.errors import NonFiniteOutput, TooLarge
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.montecarlo import Estimate, Tally

BATCH_VALUES = 2**18  # the number of values drawn at a time: it takes milliseconds, after which other requests may run
BATCH_ROWS = 256


class Counted(NamedTuple):
    """Holds the Monte-Carlo estimates for one row; `flip_probability` is None where there are no labels."""

    volatility: Estimate
    flip_probability: Estimate | None


def check_draws(served: ServedModel, rows: int, draws: int, maximum: int, seconds: float) -> None:
    """Raises `TooLarge` for more than `maximum` draws in all, or more than can be run in the seconds that are left."""
    if rows * draws > maximum:
        raise TooLarge(f"would be over {maximum} draws in all; ask for fewer draws or rows", "draws")
    if served.costs.score(rows * draws) > seconds:
        raise TooLarge("would take longer than the request may; ask for fewer draws or rows", "draws")


async def sample(
    served: ServedModel,
    features: NDArray[np.float32],
    scores: NDArray[np.float32],
    noise_scale: float,
    draws: int,
    seed: int,
    deadline: float,
) -> list[Counted]:
    """Returns the Monte-Carlo estimates for each row.

    Every row gets the same draws, whichever rows it comes with, so that the same request has the same answer.

    Args:
        served: the model version.
        features: (rows, D) the encoded rows.
        scores: (rows, S) the scores without noise.
        noise_scale: the multiple of the card's noise that is drawn.
        draws: the number of draws for each row.
        seed: the seed of the draws.
        deadline: when the request's time runs out, by the event loop's clock.
    """
    link, noise = served.model.link, (served.model.rows.noise * noise_scale).astype(np.float32)
    size = max(1, min(BATCH_ROWS, BATCH_VALUES // served.card.width))
    counted = []
    for row, own in zip(features, scores.astype(np.float64), strict=True):
        random, tally = np.random.default_rng(seed), Tally(link, own)
        while tally.draws < draws:
            noisy = await asyncio.to_thread(_draw, random, row, noise, min(size, draws - tally.draws))
            moved = await served.sample(noisy, deadline)
            if not np.isfinite(moved).all():
                raise NonFiniteOutput("the model's answer to a draw is not finite; lower noise_scale", "instances")
            tally.add(moved)
        flips = tally.flip_probability() if link.has_labels else None
        counted.append(Counted(tally.volatility(), flips))
    return counted


def _draw(
    random: np.random.Generator, row: NDArray[np.float32], noise: NDArray[np.float32], count: int
) -> NDArray[np.float32]:
    drawn = random.standard_normal((count, len(row)), dtype=np.float32)
    drawn *= noise
    drawn += row
    return drawn
