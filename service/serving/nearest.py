"""Searches the points nearest to rows at which a model gives another answer, with runs of many points each."""

import asyncio
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.counterfactual import Domain, Goal

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Matrix = NDArray[np.float32]

STEPS = 16  # the distances that are tried along one direction in one run
TURNS = 12  # the most directions that are tried one after the other
WITHOUT = 4  # and the most for a row that has not reached its target yet
WORTH = 0.995  # a turn that brings a row no nearer than so much of its distance is its last
GRID_VALUES = 2**17  # the most input values of one run: they take a millisecond to write
JACOBIAN_VALUES = 2**20
AROUND = np.geomspace(0.25, 32.0, STEPS)  # of the distance to first order
CLOSER = np.linspace(0.85, 0.9999, STEPS)  # of the distance so far
BETWEEN = np.arange(1, STEPS + 1) / (STEPS + 1)


@dataclass(frozen=True)
class Reached:
    """Holds the nearest points that reach their targets, (rows, D), and their distances; infinite where none did."""

    points: Matrix
    distance: Floats

    def best(self) -> tuple[Matrix, float]:
        """Returns the nearest of the points, and its distance."""
        nearest = int(self.distance.argmin())
        return self.points[nearest], float(self.distance[nearest])


class Nearest:
    """Searches with a limited number of runs.

    Attributes:
        left: how many rows it may still run; a search that has used them up ends with what it has found.
    """

    def __init__(self, served: ServedModel, goal: Goal, left: int, batch_rows: int, deadline: float) -> None:
        """Takes the model, what its answers are to become, and the limits.

        Args:
            served: the model version.
            goal: what the answers are to become.
            left: how many rows it may run.
            batch_rows: how many rows one run may have.
            deadline: when the request's time runs out, by the event loop's clock.
        """
        self.left = left
        self._served = served
        self._goal = goal
        self._deadline = deadline
        self._runs = runs_of_derivatives(served)
        width, scores = served.card.width, served.card.scores
        values = min(GRID_VALUES // (STEPS * width), JACOBIAN_VALUES // (scores * width))
        self._together = max(1, min(values, batch_rows // STEPS))

    async def find(
        self, domain: Domain, targets: Indices, scores: Floats | None = None, rivals: bool = True
    ) -> Reached:
        """Returns the nearest points at which rows reach their targets.

        Args:
            domain: the rows, and where they may move.
            targets: (rows,) the label that each is to reach; ignored for a regression.
            scores: (S,) the scores of the rows where they are all the same; else None.
            rivals: whether only the nearest point of all is wanted, so that rows far behind are given up.
        """
        parts = []
        for start in range(0, len(targets), self._together):
            rows = np.arange(start, min(start + self._together, len(targets)))
            parts.append(await self._find(domain.part(rows), targets[rows], scores, rivals))
        return Reached(
            np.concatenate([part.points for part in parts]), np.concatenate([part.distance for part in parts])
        )

    async def score(self, points: Matrix) -> Floats:
        """Returns the (rows, S) scores of points."""
        self.left -= len(points)
        return (await self._served.sample(points, self._deadline)).astype(np.float64)

    async def slope(self, points: Matrix, scores: Floats, targets: Indices) -> Floats:
        """Returns the (rows, D) derivatives of the leads at points with known scores; 0 where there is none."""
        self.left -= len(points) * self._runs
        jacobian = await self._served.differentiate(points, self._deadline)
        slope = np.einsum("ns,nsd->nd", self._goal.slope(scores, targets), jacobian)
        return np.asarray(np.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0))

    async def _find(self, domain: Domain, targets: Indices, known: Floats | None, rivals: bool) -> Reached:
        """Searches for some rows together.

        Each turn goes from the row into the corner of its box towards which the lead rises at the best point so far,
        and looks where on the way the target is reached. Another turn follows where that brought the row nearer,
        because the lead may then rise towards another corner.
        """
        count, furthest = len(targets), domain.furthest()
        points = domain.middle.astype(np.float32)
        scores = await self.score(points) if known is None else np.repeat(known[None], count, axis=0)
        found, distance, rows = points.copy(), np.full(count, np.inf), np.arange(count)
        for turn in range(TURNS):
            if self.left < len(rows) * (self._runs + 2 * STEPS) or not len(rows):
                break
            part, ends, before = domain.part(rows), targets[rows], distance[rows]
            slope = await self.slope(points[rows], scores[rows], ends)
            if turn == 0:
                tried = _first_tries(part, slope, self._goal.lead(scores, targets), furthest)
            else:
                evenly = furthest[rows, None] * np.linspace(1 / STEPS, 1.0, STEPS)
                tried = np.where(np.isinf(before)[:, None], evenly, before[:, None] * CLOSER)
            each = np.arange(len(rows))
            for _ in range(2):  # the second time between the first distance that reaches and the one before it
                corners = await _corners(part, slope, tried)
                flat = await self.score(corners.reshape(-1, corners.shape[2]))
                again = np.repeat(ends, STEPS)
                reached = self._goal.reached(flat, again).reshape(tried.shape)
                lead = np.nan_to_num(self._goal.lead(flat, again), nan=-np.inf).reshape(tried.shape)
                some = reached.any(axis=1)
                first = np.where(some, reached.argmax(axis=1), lead.argmax(axis=1))
                corner, answer = corners[each, first], flat.reshape(*tried.shape, -1)[each, first]
                apart = part.distance(corner)
                nearer = some & (apart < distance[rows])
                moved = nearer | np.isinf(distance[rows])  # without any, where the lead is largest
                points[rows[moved]], scores[rows[moved]] = corner[moved], answer[moved]
                found[rows[nearer]], distance[rows[nearer]] = corner[nearer], apart[nearer]
                low = np.where(first > 0, tried[each, first - 1], 0.0)
                high = np.where(some, tried[each, first], tried[:, -1])
                tried = low[:, None] + (high - low)[:, None] * BETWEEN
                if not some.any():
                    break
            going = (distance[rows] < WORTH * before) | (np.isinf(distance[rows]) & (turn < WITHOUT))
            if rivals and np.isfinite(distance).any():
                going &= distance[rows] <= 2.0 * distance.min()
            rows = rows[going]
        return Reached(found, distance)


def runs_of_derivatives(served: ServedModel) -> int:
    """Returns the number of rows that are run for the derivatives of one."""
    return 1 if served.model.probe is None else served.model.probe.rows


def _first_tries(domain: Domain, slope: Floats, lead: Floats, furthest: Floats) -> Floats:
    """Returns (rows, steps) distances around the one at which the target is reached to first order."""
    rise = (np.abs(slope) * domain.unit).sum(axis=1)
    expected = np.where(rise > 0, -lead / np.where(rise > 0, rise, 1.0), furthest)
    return np.minimum(expected[:, None] * AROUND, furthest[:, None])


async def _corners(domain: Domain, slope: Floats, distance: Floats) -> Matrix:
    if distance.size * slope.shape[1] <= GRID_VALUES:
        return domain.corners(slope, distance)
    return await asyncio.to_thread(domain.corners, slope, distance)
