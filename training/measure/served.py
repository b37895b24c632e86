"""Measures rows as the service does: in closed form, and by draws where that does not hold. Needs no torch."""

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Calibration
from chainzrule.service.stability.link import Link
from chainzrule.service.stability.measures import Diagnosis, take
from chainzrule.service.stability.noise import Noise
from chainzrule.service.stability.redrawn import Scores, count_rows, enter
from chainzrule.service.stability.soundness import Soundness

MOST_ROWS = 2000  # that are drawn, evenly chosen; the others keep their measures in closed form


def as_served(
    link: Link,
    score: Scores,
    noise: Noise,
    calibration: Calibration,
    x: NDArray[np.float32],
    scores: NDArray[np.floating],
    found: Diagnosis,
) -> Diagnosis:
    """Returns measures at one noise sigma, those counted from draws that the service would count.

    The card's reference is made of them, so that live traffic is compared with its like.

    Args:
        link: what the scores mean.
        score: gives the scores of raw rows.
        noise: the noise that the card declares.
        calibration: how true the measures were found.
        x: (rows, D) raw rows.
        scores: (rows, S) their scores.
        found: their measures in closed form.
    """
    unsound = Soundness(noise, calibration).unsound(x, np.ones(len(x)), found.curvature, found.flip_distance)
    if not unsound:
        return found
    rows = np.flatnonzero(np.logical_or.reduce(list(unsound.values())))
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(np.int64)]
    counted = take(found, np.arange(len(x)))
    tallies = count_rows(link, score, noise, x[rows], scores[rows], 1.0)
    for place, tally in tallies.items():
        enter(link, counted, int(rows[place]), tally)
    return counted
