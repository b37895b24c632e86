"""Runs rows through the model again with drawn noise, batch by batch, between other requests' runs."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.errors import NonFiniteOutput, TooLarge
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.montecarlo import Estimate, Tally
from chainzrule.service.stability.noise import Noise, streams

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
    noise: Noise,
    noise_scale: float,
    draws: int,
    seeds: Sequence[int],
    deadline: float,
) -> list[Tally]:
    """Returns the draws of each row, which are the same whichever rows it comes with.

    Args:
        served: the model version.
        features: (rows, D) the encoded rows.
        scores: (rows, S) the scores without noise.
        noise: what is drawn.
        noise_scale: the multiple of it.
        draws: the number of draws for each row.
        seeds: (rows,) the seed of each row's draws.
        deadline: when the request's time runs out, by the event loop's clock.
    """
    link = served.model.link
    size = max(1, min(BATCH_ROWS, BATCH_VALUES // served.card.width))
    tallies = []
    for row, own, seed in zip(features, scores.astype(np.float64), seeds, strict=True):
        random, tally = streams(seed), Tally(link, own)
        while tally.draws < draws:
            noisy = await asyncio.to_thread(noise.draw, random, row, noise_scale, min(size, draws - tally.draws))
            moved = await served.sample(noisy, deadline)
            if not np.isfinite(moved).all():
                raise NonFiniteOutput(
                    "the model's answer to a draw is not finite; lower noise_scale or the noise", "instances"
                )
            tally.add(moved)
        tallies.append(tally)
    return tallies


def counted(tally: Tally, has_labels: bool) -> Counted:
    """Returns the estimates that follow from a row's draws."""
    return Counted(tally.volatility(), tally.flip_probability() if has_labels else None)
