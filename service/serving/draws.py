"""`method=monte_carlo`: rows run through the model again with drawn noise, batch by batch, between other requests."""

import asyncio
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.errors import NonFiniteOutput, TooLarge
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.montecarlo import Estimate, Tally

BATCH_VALUES = 2**18  # noisy values drawn at a time: some milliseconds, after which others have their turn
BATCH_ROWS = 256


def check_draws(served: ServedModel, rows: int, draws: int, most: int, seconds: float) -> None:
    """Refuse more draws than the setting `max_draws` allows, or than can be run in the request's time."""
    if rows * draws > most:
        raise TooLarge(f"would be over {most} draws in all; ask for fewer draws or rows", "draws")
    if served.sampling_cost(rows * draws) > seconds:
        raise TooLarge("would take longer than the request may; ask for fewer draws or rows", "draws")


async def sample(
    served: ServedModel,
    features: NDArray[np.float32],
    scores: NDArray[np.float32],
    noise_scale: float,
    draws: int,
    seed: int,
    deadline: float,
) -> list[dict[str, Any]]:
    """What each row's answer has under `monte_carlo`.

    Every row meets the same draws, whichever rows it comes with: the same request has the same answer.

    Args:
        served: the model.
        features: (rows, D) encoded.
        scores: (rows, S) without noise.
        noise_scale: multiple of the card's noise.
        draws: how many a row.
        seed: of the draws.
        deadline: by the event loop's clock.
    """
    card, noise = served.card, (served.model.rows.noise * noise_scale).astype(np.float32)
    size = max(1, min(BATCH_ROWS, BATCH_VALUES // card.width))
    answers = []
    for row, own in zip(features, scores.astype(np.float64), strict=True):
        random, tally = np.random.default_rng(seed), Tally(card.task, own)
        while tally.draws < draws:
            noisy = await asyncio.to_thread(_draw, random, row, noise, min(size, draws - tally.draws))
            moved = await served.sample(noisy, deadline)
            if not np.isfinite(moved).all():
                raise NonFiniteOutput("the model's answer to a draw is not finite; lower noise_scale", "instances")
            tally.add(moved)
        answer = {"draws": draws, "seed": seed, **_named("volatility", tally.volatility())}
        if card.task != "regression":
            answer |= _named("flip_probability", tally.flip_probability())
        answers.append(answer)
    return answers


def _draw(
    random: np.random.Generator, row: NDArray[np.float32], noise: NDArray[np.float32], count: int
) -> NDArray[np.float32]:
    drawn = random.standard_normal((count, len(row)), dtype=np.float32)
    drawn *= noise
    drawn += row
    return drawn


def _named(name: str, estimate: Estimate) -> dict[str, Any]:
    return {name: estimate.value, f"{name}_interval": [estimate.low, estimate.high]}
