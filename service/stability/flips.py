"""Computes the distance to the nearest decision boundary, and how likely the noise is to carry a row across it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.link import Link
from chainzrule.service.stability.lone import normal as lone_normal
from chainzrule.service.stability.normal import any_negative, tail

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# A margin's variance is a difference of float32 covariances: below this fraction of them it is rounding, not noise.
ROUNDING = 5e-7

# A rival at least this many sigmas away flips the label with a chance under 1e-15. Where the nearest rival is that far
# away, the others are ignored.
OUT_OF_REACH = 8.0

# A rival whose squared distance exceeds the nearest's by this much overtakes the label 1e-5 times as often as the
# nearest does, so it is left out of the joint law.
NEGLIGIBLE = 23.0

FEW = 24  # up to this many rows times rivals, plain floats are quicker than numpy's calls


class Flips(NamedTuple):
    """Holds what the noise does to the label.

    Attributes:
        distance: (rows,) noise sigmas to the nearest boundary, to first order; infinite where nothing moves the label.
        probability: (rows,) probability that the noise changes the label; NaN where there are no labels.
        runner_up: (rows,) index of the label that becomes most likely instead; -1 where there are no labels.
        curvature: (rows,) the second-order shift of the lead over that label, in its standard deviations.
    """

    distance: Floats
    probability: Floats
    runner_up: Indices
    curvature: Floats


def none(rows: int) -> Flips:
    """Returns the flips of rows that have no label, which nothing can change."""
    return Flips(np.full(rows, np.inf), np.full(rows, np.nan), np.full(rows, -1), np.zeros(rows))


def of_two_labels(margin: Floats, displaced: Floats, sd: Floats, label: Indices) -> Flips:
    """Returns the flips between two labels, whose one margin is normal to first order.

    Args:
        margin: (rows,) the label's lead over the other label, without noise.
        displaced: (rows,) the mean of that lead under the noise.
        sd: (rows,) the standard deviation of that lead under the noise.
        label: (rows,) the labels.
    """
    distance, reach = np.full((2, len(margin)), np.inf)
    np.divide(margin, sd, out=distance, where=sd > 0)
    np.divide(displaced, sd, out=reach, where=sd > 0)
    return Flips(distance, tail(reach), 1 - label, _curvature(margin, displaced, sd))


def of_many_labels(margin: Floats, displaced: Floats, C: Floats, label: Indices) -> Flips:
    """Returns the flips among many labels, by the joint normal law of the label's margins.

    Args:
        margin: (rows, S) the label's lead over each score; infinite over itself.
        displaced: (rows, S) the means of those leads under the noise.
        C: (rows, S, S) covariance of the scores.
        label: (rows,) the labels.
    """
    each = np.arange(len(margin))
    diagonal = C.diagonal(axis1=1, axis2=2)
    own = C[each, label]
    scale = diagonal + own[each, label][:, None]
    variance = scale - 2.0 * own
    moves = variance > ROUNDING * scale
    sd = np.sqrt(np.where(moves, variance, 1.0))
    distance = np.where(moves, margin / sd, np.inf)
    runner_up = distance.argmin(axis=1)
    nearest = distance[each, runner_up]
    if np.isinf(nearest).any():
        # Where no noise moves any margin, the runner-up is the next highest score.
        runner_up = np.where(np.isinf(nearest), margin.argmin(axis=1), runner_up)
    if displaced is not margin:
        distance = np.where(moves, displaced / sd, np.inf)
    curvature = np.zeros(len(margin))
    if displaced is not margin:
        at = (each, runner_up)
        curvature = _curvature(margin[at], displaced[at], np.where(moves, sd, 0.0)[at])
    return Flips(nearest, _any_rival(displaced, C, label, distance), runner_up, curvature)


def of_levels(
    below: Floats, above: Floats, moved_below: Floats, moved_above: Floats, sd: Floats, label: Indices
) -> Flips:
    """Returns the flips between ordered levels, where the thresholds are fixed and the noise moves all scores with f.

    Args:
        below: (rows,) how far f lies above the level's lower threshold; infinite at the lowest level.
        above: (rows,) how far f lies under the level's upper threshold; infinite at the highest level.
        moved_below: (rows,) the mean of `below` under the noise.
        moved_above: (rows,) the mean of `above` under the noise.
        sd: (rows,) standard deviation of f.
        label: (rows,) the levels.
    """

    def sigmas(margin: Floats) -> Floats:
        return np.where(sd > 0, margin / np.where(sd > 0, sd, 1.0), np.inf)

    return Flips(
        np.minimum(sigmas(below), sigmas(above)),
        tail(sigmas(moved_below)) + tail(sigmas(moved_above)),
        np.where(below <= above, label - 1, label + 1),
        # All leads shift by as much; the lowest level has none over a level below, the highest none over one above.
        np.maximum(_curvature(below, moved_below, sd), _curvature(above, moved_above, sd)),
    )


def counted(link: Link, s: Floats, moved: Floats, label: Indices) -> Flips:
    """Returns the flips that draws of the noise make; there is no distance in a count, so that it is infinite.

    Args:
        link: what the scores mean.
        s: (rows, S) the scores without noise.
        moved: (rows, draws, S) the scores of the draws.
        label: (rows,) the labels without noise.
    """
    rows, draws, S = moved.shape
    each = np.arange(rows)
    moved_label = link.label(moved.reshape(-1, S)).reshape(rows, draws)
    counts = (moved_label[:, :, None] == np.arange(S)).sum(axis=1)
    counts[each, label] = -1
    chance = np.maximum(counts, 0).sum(axis=1) / draws
    runner_up = np.where(counts.max(axis=1) > 0, counts.argmax(axis=1), _nearest(s, moved, label))
    return Flips(np.full(rows, np.inf), chance, runner_up, np.zeros(rows))


def _curvature(margin: Floats, displaced: Floats, sd: Floats) -> Floats:
    """Returns (rows,) by how many standard deviations leads shift; 0 where they do not move, or are over nothing."""
    moves = (sd > 0) & np.isfinite(margin)
    shift = np.zeros(len(margin))
    np.subtract(displaced, margin, out=shift, where=moves)
    return np.asarray(np.divide(np.abs(shift), sd, out=np.zeros(len(margin)), where=moves))


def _any_rival(margin: Floats, C: Floats, label: Indices, distance: Floats) -> Floats:
    """Returns the (rows,) probability that any rival overtakes the label, by the margins' joint normal law."""
    nearest, second = np.partition(distance, 1, axis=1)[:, :2].T
    chance = tail(nearest)  # the nearest rival alone is enough where the next is out of reach
    limit = np.sqrt(np.square(np.clip(nearest, 0.0, OUT_OF_REACH)) + NEGLIGIBLE)
    several = np.flatnonzero((second < limit) & (nearest < OUT_OF_REACH))
    if len(several) == 0:
        return chance
    rivals = np.argsort(distance[several], axis=1, kind="stable")
    counts = (distance[several] < limit[several, None]).sum(axis=1)
    mean, joint = _joint_law(margin[several], C[several], label[several], rivals[:, : counts.max()])
    if len(several) * counts.max() > FEW:
        beyond = np.arange(mean.shape[1]) >= counts[:, None]
        joint[beyond[:, :, None] | beyond[:, None, :]] = 0.0  # a margin without variance never becomes negative
        chance[several] = any_negative(mean, joint)
    else:
        chance[several] = [
            lone_normal.any_negative(own[:count], [row[:count] for row in law[:count]])
            for own, law, count in zip(mean.tolist(), joint.tolist(), counts.tolist(), strict=True)
        ]
    return chance


def _joint_law(margin: Floats, C: Floats, label: Indices, rivals: Indices) -> tuple[Floats, Floats]:
    """Returns the mean, (rows, R), and the covariance, (rows, R, R), of the label's margins over R rivals."""
    row = np.arange(len(rivals))[:, None]
    own = label[:, None]
    c_label = C[row, own, rivals]
    among = C[row[:, :, None], rivals[:, :, None], rivals[:, None, :]]
    joint = C[row, own, own][:, :, None] - c_label[:, :, None] - c_label[:, None, :] + among
    return margin[row, rivals], joint


def _nearest(s: Floats, moved: Floats, label: Indices) -> Indices:
    """Returns the (rows,) rival label that is the fewest standard deviations of its margin away.

    Where no margin moves, it is the label with the next highest score.
    """
    each = np.arange(len(s))
    with np.errstate(invalid="ignore", over="ignore"):
        margin = s[each, label][:, None] - s
        sd = (moved[each, :, label][:, :, None] - moved).std(axis=1)
    distance = np.where(sd > 0, margin / np.where(sd > 0, sd, 1.0), np.inf)
    distance[each, label] = np.inf
    margin[each, label] = np.inf
    return np.asarray(np.where(np.isfinite(distance).any(axis=1), distance.argmin(axis=1), margin.argmin(axis=1)))
