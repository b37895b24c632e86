"""Says what a changed row is to reach, and where it may move: the geometry of the smallest change that flips an answer.

Distances are in noise sigmas: a row's distance is that of the feature that moved furthest. So the rows within a
distance are a box, as those of a certificate are, and a certificate bounds the distance from below.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.link import Classification, Link, Ordinal

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Matrix = NDArray[np.float32]

CLEARLY = 1e-5  # by so much of the largest score a goal is passed, so that rounding in other batches undoes nothing


@dataclass(frozen=True)
class Goal:
    """Holds what the answer is to become.

    Attributes:
        link: what the scores mean.
        limit: regression: the number that the output is to pass.
        rises: regression: whether it is to pass it upwards.
    """

    link: Link
    limit: float = 0.0
    rises: bool = True

    def lead(self, scores: Floats, target: Indices) -> Floats:
        """Returns by how much each of (rows, S) scores reaches its (rows,) target label; below 0 it does not."""
        return np.asarray(self._sides(scores, target).min(axis=1))

    def slope(self, scores: Floats, target: Indices) -> Floats:
        """Returns the (rows, S) derivative of the lead with respect to the scores."""
        each, slope = np.arange(len(scores)), np.zeros(scores.shape)
        side = self._sides(scores, target).argmin(axis=1)
        if isinstance(self.link, Classification):
            slope[each, target] = 1.0
            slope[each, side] -= 1.0
        elif isinstance(self.link, Ordinal):
            slope[each, np.where(side == 0, target - 1, target)] = np.where(side == 0, 1.0, -1.0)
        else:
            slope[:, 0] = 1.0 if self.rises else -1.0
        return slope

    def reached(self, scores: Floats, target: Indices) -> Mask:
        """Returns whether each of (rows, S) scores clearly reaches its target."""
        return np.asarray(self.lead(scores, target) > CLEARLY * np.abs(scores).max(axis=1))

    def excluded(self, label: int, target: int | None, lower: Floats, upper: Floats, margin_lower: Floats) -> Mask:
        """Returns (boxes,) whether bounds, (boxes, S), prove that no row of a box reaches the goal.

        Args:
            label: the label of the row without changes, whose margins are bounded.
            target: the label to reach; None for any other.
            lower: the scores' lower bounds.
            upper: the scores' upper bounds.
            margin_lower: lower bounds of the label's margins; used for a classification only.
        """
        if isinstance(self.link, Classification):
            others = [score for score in range(lower.shape[1]) if score != label]
            return np.asarray((margin_lower[:, others if target is None else [target]] > 0).all(axis=1))
        if isinstance(self.link, Ordinal):
            stays = np.ones(len(lower), np.bool_)
            if label < upper.shape[1] and (target is None or target > label):
                stays &= upper[:, label if target is None else target - 1] <= 0
            if label > 0 and (target is None or target < label):
                stays &= lower[:, label - 1 if target is None else target] > 0
            return stays
        return np.asarray(upper[:, 0] < self.limit if self.rises else lower[:, 0] > self.limit)

    def targets(self, scores: Floats, label: int) -> list[int]:
        """Returns the labels that a row may change to, given its (S,) scores, the nearest first."""
        if isinstance(self.link, Classification):
            return [int(k) for k in np.argsort(-scores, kind="stable") if k != label]
        if isinstance(self.link, Ordinal):
            return [k for k in (label - 1, label + 1) if 0 <= k <= len(scores)]
        return [0]

    def _sides(self, scores: Floats, target: Indices) -> Floats:
        """Returns the (rows, ...) distances from all that limits the target, of which the least is the lead."""
        each = np.arange(len(scores))
        if isinstance(self.link, Classification):
            sides = scores[each, target][:, None] - scores
            sides[each, target] = np.inf
            return np.asarray(sides)
        if isinstance(self.link, Ordinal):
            beyond = np.full((len(scores), 1), np.inf)
            padded = np.concatenate([beyond, scores, -beyond], axis=1)
            return np.stack([padded[each, target], -padded[each, target + 1]], axis=1)
        return (scores[:, :1] - self.limit) * (1.0 if self.rises else -1.0)


@dataclass(frozen=True)
class Domain:
    """Holds where rows may move; arrays are (rows, D) but for the unit.

    Attributes:
        middle: the rows without changes.
        unit: (D,) one noise sigma.
        low: the least value that each column may take.
        high: the largest value that each column may take.
        whole: whether each column may move to whole numbers only.
    """

    middle: Floats
    unit: Floats
    low: Floats
    high: Floats
    whole: Mask

    def part(self, rows: Indices) -> "Domain":
        """Returns the domain of some of the rows."""
        return replace(self, middle=self.middle[rows], low=self.low[rows], high=self.high[rows], whole=self.whole[rows])

    def only(self, free: Mask) -> "Domain":
        """Returns a domain in which of each row only some columns, (rows, D), are free."""
        return replace(self, low=np.where(free, self.low, self.middle), high=np.where(free, self.high, self.middle))

    def furthest(self) -> Floats:
        """Returns the (rows,) distances beyond which nothing more can be reached."""
        room = np.nan_to_num(np.maximum(self.high - self.middle, self.middle - self.low))  # a gap has none
        return np.asarray((room / np.where(self.unit > 0, self.unit, np.inf)).max(axis=1, initial=0.0))

    def corners(self, slope: Floats, distance: Floats) -> Matrix:
        """Returns the rows at distances, (rows, G), that go in the directions of a (rows, D) slope: (rows, G, D)."""
        return self.place(self.middle[:, None] + distance[:, :, None] * (np.sign(slope) * self.unit)[:, None])

    def place(self, points: Floats) -> Matrix:
        """Returns points, (rows, ..., D), where they may be: within the ranges, and at whole numbers nearer the row."""
        shape = (len(points), *(1,) * (points.ndim - 2), points.shape[-1])
        middle = self.middle.reshape(shape)
        points = np.clip(points, self.low.reshape(shape), self.high.reshape(shape))
        if self.whole.any():
            step = np.where(points > middle, np.maximum(np.floor(points), middle), points)
            step = np.where(points < middle, np.minimum(np.ceil(points), middle), step)
            points = np.where(self.whole.reshape(shape), step, points)
        return points.astype(np.float32)

    def distance(self, points: Matrix) -> Floats:
        """Returns the (rows,) distances of one point for each row, (rows, D)."""
        moved = np.abs(points.astype(np.float64) - self.middle)
        apart = np.where(moved > 0, moved / np.where(self.unit > 0, self.unit, 1.0), 0.0)
        return np.asarray(apart.max(axis=1, initial=0.0))

    def boxes(self, distance: Floats) -> tuple[Floats, Floats]:
        """Returns the ends of the boxes, (G, D) each, within some distances, (G,), of the first row."""
        reach = distance[:, None] * self.unit
        return np.maximum(self.middle[0] - reach, self.low[0]), np.minimum(self.middle[0] + reach, self.high[0])
