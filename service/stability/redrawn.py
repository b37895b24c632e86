"""Puts measures that were counted from draws in place of those in closed form, for rows where these do not hold."""

import zlib
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.batch import Batch
from chainzrule.service.stability.link import Link
from chainzrule.service.stability.measures import Diagnosis, take
from chainzrule.service.stability.montecarlo import Tally
from chainzrule.service.stability.noise import Noise, streams
from chainzrule.service.stability.outputs import Inputs, Outputs
from chainzrule.service.stability.predictions import Measured

DRAWS = 1000  # of a row: flip probabilities are within 0.016 of the truth two times in three, volatilities within 3%

Matrix = NDArray[np.float32]
Scores = Callable[[Matrix], NDArray[np.floating]]
Mask = NDArray[np.bool_]


def seed_of(row: NDArray[np.float32]) -> int:
    """Returns the seed of a row's draws, which is its own, so that the same row has the same answer wherever it comes.

    Were it one for all rows, their errors would all be on the same side.
    """
    return zlib.crc32(row.tobytes())


def count_rows(
    link: Link, score: Scores, noise: Noise, features: Matrix, scores: NDArray[np.floating], noise_scale: float
) -> dict[int, Tally]:
    """Returns the draws of rows by their places; a row of which a draw's score is not finite has none.

    Args:
        link: what the scores mean.
        score: gives the scores of rows.
        noise: what is drawn.
        features: (rows, D) the encoded rows.
        scores: (rows, S) their scores without noise.
        noise_scale: the multiple of the noise.
    """
    tallies = {}
    for place, (row, own) in enumerate(zip(features, scores.astype(np.float64), strict=True)):
        moved = score(noise.draw(streams(seed_of(row)), row, noise_scale, DRAWS))
        if np.isfinite(moved).all():
            tallies[place] = Tally(link, own)
            tallies[place].add(moved.astype(np.float32))
    return tallies


def redrawn(batch: Measured, part: slice, tallies: Mapping[int, Tally], of_card: bool = True) -> Batch:
    """Returns the rows `part` of a batch as a batch of their own, some of them with counted measures.

    Rows that were measured in closed form are observed already, so that only the others still are.

    Args:
        batch: the rows as they were measured first.
        part: which of them.
        tallies: the draws of those that were drawn, by their places in the part.
        of_card: whether the draws were those of the card's own noise.
    """
    count = part.stop - part.start
    drawn: Mask = np.zeros(count, np.bool_)
    drawn[list(tallies)] = True
    unsound: Mask = np.zeros(count, np.bool_) if batch.unsound is None else batch.unsound[part]
    features, noise_scale, observe, confidence = batch.inputs
    link, found = batch.link, take(batch.measures, np.arange(part.start, part.stop))  # copied, to be written over
    for row, tally in tallies.items():
        enter(link, found, row, tally)
    return Batch(
        batch.standard,
        Inputs(features[part], noise_scale[part], observe[part] & unsound, confidence[part]),
        Outputs(
            batch.scores[part],
            None if batch.probabilities is None else batch.probabilities[part],
            batch.covariance[part],
            counted=found,
            slope=None if batch.slope is None else batch.slope[part],
            novelty=batch.surprise(part),
            deviations=batch.deviations(part),
            drawn=drawn,
            ranked=of_card,
        ),
    )


def enter(link: Link, found: Diagnosis, row: int, tally: Tally) -> None:
    """Writes one row's counted measures over those in closed form.

    A count gives no distance. The gradient's norm stays: it is a derivative, under the card's noise, and intervals hang
    on it.
    """
    found.volatility[row] = tally.volatility().value
    found.flip_distance[row] = np.inf
    if link.has_labels:
        found.flip_probability[row] = tally.flip_probability().value
        found.runner_up[row] = tally.runner_up(int(found.runner_up[row]))
