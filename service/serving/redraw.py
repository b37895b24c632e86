"""Draws the rows whose measures do not hold in closed form, as far as a request's limits allow."""

import asyncio

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.errors import NonFiniteOutput, TooLarge
from chainzrule.service.serving.deadline import seconds_until
from chainzrule.service.serving.draws import sample
from chainzrule.service.serving.engine import Share
from chainzrule.service.serving.question import Allowance
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.montecarlo import Tally
from chainzrule.service.stability.noise import Noise
from chainzrule.service.stability.predictions import Measured
from chainzrule.service.stability.redrawn import DRAWS, redrawn, seed_of

PATIENCE = 0.5  # the share of the time that is left which draws may take, so that the answer is still in time


async def redraw(
    served: ServedModel,
    features: NDArray[np.float32],
    share: Share[Measured],
    allowance: Allowance,
    deadline: float,
    noise: Noise | None = None,
) -> Share[Measured]:
    """Returns the share with the rows drawn that the closed form does not measure; those beyond the limits stay so.

    Args:
        served: the model version.
        features: (rows, D) the share's encoded rows.
        share: their predictions, all of them finite.
        allowance: what the request may take.
        deadline: when the request's time runs out, by the event loop's clock.
        noise: a noise of the request's own, under which all rows are drawn; None for the card's.

    Raises:
        TooLarge: the request has a noise of its own, and more rows than may be drawn.
        NonFiniteOutput: the model's answer to a draw of the request's own noise is not finite.
    """
    batch, part = share.result, slice(share.start, share.stop)
    if noise is None and (batch.unsound is None or not batch.unsound[part].any()):
        return share
    rows = np.arange(len(share)) if noise is not None or batch.unsound is None else np.flatnonzero(batch.unsound[part])
    most = _affordable(served, allowance, deadline)
    if noise is not None and len(rows) > most:
        raise _too_many(most)
    rows = rows[:most]
    scores, scale = batch.scores[part], float(batch.inputs.noise_scale[share.start])
    loop, tallies = asyncio.get_running_loop(), dict[int, Tally]()
    stop = loop.time() + PATIENCE * seconds_until(deadline)
    for row in rows.tolist():
        if loop.time() >= stop:  # other requests may have taken the time
            break
        own, seeds = slice(row, row + 1), [seed_of(features[row])]
        drawn = noise or served.model.rows.errors
        try:
            [tallies[row]] = await sample(served, features[own], scores[own], drawn, scale, DRAWS, seeds, deadline)
        except NonFiniteOutput:
            if noise is not None:
                raise
            # Nobody asked for draws: the answer itself is finite, and its stability is not measurable.
    if noise is not None and len(tallies) < len(rows):
        raise _too_many(len(tallies))
    found = redrawn(batch, part, tallies, of_card=noise is None)
    served.observe(found)
    return Share(found, 0, len(found), share.seconds)


def _too_many(most: int) -> TooLarge:
    what = f"ask for at most {most} rows" if most else "give it more time"
    return TooLarge(f"with a noise of its own every row takes {DRAWS} draws; {what}", "instances")


def _affordable(served: ServedModel, allowance: Allowance, deadline: float) -> int:
    """Returns how many rows may be drawn."""
    row = served.costs.score(DRAWS)
    left = PATIENCE * seconds_until(deadline)
    return max(0, min(allowance.draws // DRAWS, int(left / row) if row > 0 else allowance.draws))
