"""Finds the smallest change of a row that changes its answer, and proves below which distance there is none."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.errors import TooLarge
from chainzrule.service.runtime.bounds import Boxes
from chainzrule.service.serving.engine import Share
from chainzrule.service.serving.nearest import STEPS, Nearest, runs_of_derivatives
from chainzrule.service.serving.plan import Plan
from chainzrule.service.serving.question import MAX_RADIUS, Allowance
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.counterfactual import Domain
from chainzrule.service.stability.predictions import Measured

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Matrix = NDArray[np.float32]
Reason = Literal["none_found", "impossible"]

WIDEST = 2**17  # columns: several copies of a row for each of `STEPS` are held
SECTIONED = 2**8  # the input values of the boxes that are bounded in one run, which costs less than several
PRECISION = 2.0**-7  # of the distance found: how near the proved one comes to the largest that can be proved
MOST_SWITCHED = 3  # categories
PROMISING = 4  # rows with other levels whose numbers are changed as well
SINGLES, TOGETHER = 8, (2, 3, 4, 6, 8, 12, 16, 24, 32)  # the numbers of features that are tried where few are to change


class Counterfactual(NamedTuple):
    """Holds what was found for a row.

    Attributes:
        point: (D,) the changed row; None where none was found.
        distance: how far its numbers moved, in noise sigmas; None where none was found.
        certified: the distance within which, with the row's own levels, there provably is none; None without bounds.
        reason: why there is none: the search found none, or there provably is none within the ranges.
    """

    point: Matrix | None
    distance: float | None
    certified: float | None
    reason: Reason | None = None

    def lost(self) -> "Counterfactual":
        """Returns the same without the point, which the model answered otherwise when it was asked again."""
        return self._replace(point=None, distance=None, reason="none_found")


class Counterfactuals(NamedTuple):
    """Holds what was found for the rows of a question, and what the model says of the changed rows."""

    found: list[Counterfactual]
    share: Share[Measured]


def check_counterfactuals(served: ServedModel, rows: int, allowance: Allowance) -> None:
    """Raises `TooLarge` for more rows than may be certified or can be searched, or too wide a model."""
    if rows > allowance.certificates:
        raise TooLarge(
            f"must be at most {allowance.certificates} rows where counterfactual is given; send several requests",
            "instances",
        )
    if served.card.width > WIDEST:
        raise TooLarge(f"is for models of at most {WIDEST} columns", "counterfactual")
    if rows * (runs_of_derivatives(served) + 2 * STEPS) > allowance.draws:
        raise TooLarge(f"would take over {allowance.draws} further runs; ask for fewer rows", "instances")


async def find_counterfactuals(
    served: ServedModel, plan: Plan, features: Matrix, scores: Floats, allowance: Allowance, deadline: float
) -> Counterfactuals:
    """Returns the smallest change found of each row, (rows, D), given its (rows, S) scores.

    What is found is reached so clearly that rounding in other batches changes nothing, and the model is asked about it
    once more. The rows share the allowance's further runs: a search that has used up its part ends with what it has.
    """
    found = []
    for row, own in zip(features, scores, strict=True):
        nearest = Nearest(served, plan.goal, allowance.draws // len(features), allowance.batch_rows, deadline)
        found.append(await _Search(served, plan, nearest, row, own, deadline).counterfactual())
    points = np.stack([row if one.point is None else one.point for row, one in zip(features, found, strict=True)])
    share = await served.predict(inputs_of(points, 1.0, observe=False), deadline)
    answers = share.result.scores[share.start : share.stop].astype(np.float64)
    return Counterfactuals(
        [
            one if one.point is None or plan.is_met(answer, before) else one.lost()
            for one, answer, before in zip(found, answers, scores, strict=True)
        ],
        share,
    )


class _Search:
    """Searches for the counterfactual of one row."""

    def __init__(
        self, served: ServedModel, plan: Plan, nearest: Nearest, row: Matrix, scores: Floats, deadline: float
    ) -> None:
        self._served = served
        self._plan = plan
        self._nearest = nearest
        self._row = row
        self._scores = scores
        self._deadline = deadline
        self._label = int(plan.goal.link.label(scores[None])[0])
        self._domain = plan.domain(row)

    async def counterfactual(self) -> Counterfactual:
        """Returns the counterfactual of the row."""
        plan, label = self._plan, self._label
        if plan.is_met(self._scores, self._scores):
            return Counterfactual(self._row, 0.0, 0.0)
        targets = np.array(plan.goal.targets(self._scores, label) if plan.target is None else [plan.target])
        found = await self._nearest.find(_repeat(self._domain, len(targets)), targets, self._scores)
        point, distance = found.best()
        furthest = float(self._domain.furthest()[0])
        certified = await self._certified(min(distance, furthest), found=bool(np.isfinite(distance)))
        if np.isfinite(distance):
            if plan.sparse:
                point, distance = await self._sparse(int(targets[found.distance.argmin()]), point, distance)
            return Counterfactual(point, distance, certified)
        point, distance = await self._switched(targets)
        if np.isfinite(distance):
            return Counterfactual(point, distance, certified)
        impossible = not plan.categories and certified == furthest
        return Counterfactual(None, None, certified, "impossible" if impossible else "none_found")

    async def _switched(self, targets: Indices) -> tuple[Matrix, float]:
        """Returns the nearest row with few categories switched, and its distance; infinite where there is none."""
        base, free, goal = self._row, list(self._plan.categories), self._plan.goal
        for _ in range(min(MOST_SWITCHED, len(free))):
            switched, which = _switches(base, free)
            if self._nearest.left < len(switched):
                break
            scores = await self._nearest.score(switched)
            leads = [np.nan_to_num(goal.lead(scores, np.full(len(scores), k)), nan=-np.inf) for k in targets]
            lead, target = np.max(leads, axis=0), targets[np.argmax(leads, axis=0)]
            reached = goal.reached(scores, target)
            if reached.any():
                return switched[np.where(reached, lead, -np.inf).argmax()], 0.0
            promising = np.argsort(-lead, kind="stable")[:PROMISING]
            domain = _join(self._plan.domain(switched[one]) for one in promising)
            point, distance = (await self._nearest.find(domain, target[promising])).best()
            if np.isfinite(distance):
                return point, distance
            base = switched[promising[0]]
            del free[which[promising[0]]]
        return self._row, np.inf

    async def _sparse(self, target: int, point: Matrix, distance: float) -> tuple[Matrix, float]:
        """Returns a row in which few columns differ, none of which can be left out, and its distance.

        The columns that could move the lead most within their ranges are tried, alone and together. Then whatever can
        be left out is left out, one column at a time.
        """
        domain, middle = self._domain, self._domain.middle[0]
        slope = (await self._nearest.slope(self._row[None], self._scores[None], np.array([target])))[0]
        gain = np.where(slope > 0, domain.high[0] - middle, domain.low[0] - middle) * slope
        order = np.argsort(-gain, kind="stable")[: int(np.count_nonzero(gain > 0))]
        sets = [order[[one]] for one in range(min(SINGLES, len(order)))]
        sets += [order[:size] for size in TOGETHER if size < len(order)]
        changed = np.flatnonzero(point != self._row)
        while sets:
            free = np.zeros((len(sets), len(slope)), np.bool_)
            for number, columns in enumerate(sets):
                free[number, columns] = True
            trial, targets = _repeat(domain, len(sets)).only(free), np.full(len(sets), target)
            found = await self._nearest.find(trial, targets, self._scores, rivals=False)
            size = np.where(np.isfinite(found.distance), [len(columns) for columns in sets], np.inf)
            if size.min() >= len(changed):
                break
            chosen = np.lexsort((found.distance, size))[0]
            point, distance = found.points[chosen], float(found.distance[chosen])
            changed = np.flatnonzero(point != self._row)
            sets = [np.delete(changed, one) for one in range(len(changed))] if 1 < len(changed) <= TOGETHER[-1] else []
        return point, distance

    async def _certified(self, most: float, found: bool) -> float | None:
        """Returns the largest distance, up to `most`, within which the goal is proved not to be reached.

        `found` says that it is reached at `most`, so that only what is below can be proved.
        """
        if "bounds" not in self._served.card.graphs:
            return None
        low, high = 0.0, min(most, MAX_RADIUS)
        parts = 1 + min(7, max(1, SECTIONED // self._served.card.width))
        smallest, tried = PRECISION * high, np.array([high])
        if found:
            tried = high * (1.0 - 0.5 ** np.arange(1, parts))  # what is found is often nearly proved to be the nearest
        while high - low > smallest:
            boxes = Boxes(*self._domain.boxes(tried), np.full(len(tried), self._label, np.int64))
            bounds = await self._served.bound(boxes, self._deadline)
            excluded = self._plan.goal.excluded(
                self._label, self._plan.target, bounds.lower, bounds.upper, bounds.margin_lower
            )
            proved = int(np.argmin(np.append(excluded, False)))  # so many, from the first on
            if proved < len(tried):
                high = float(tried[proved])
            if proved:
                low = float(tried[proved - 1])
            tried = low + (high - low) * np.arange(1, parts) / parts
        return low


def _repeat(domain: Domain, count: int) -> Domain:
    return domain.part(np.zeros(count, np.int64))


def _join(domains: Iterable[Domain]) -> Domain:
    parts = list(domains)
    names = ("middle", "low", "high", "whole")
    return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _switches(base: Matrix, categories: list[tuple[int, int]]) -> tuple[Matrix, list[int]]:
    """Returns the rows that differ from one in the level of one category, and which category each differs in."""
    rows, which = [], []
    for number, (start, count) in enumerate(categories):
        for level in range(count):
            if base[start + level] != 1.0:
                switched = base.copy()
                switched[start : start + count] = 0.0
                switched[start + level] = 1.0
                rows.append(switched)
                which.append(number)
    return np.stack(rows), which
