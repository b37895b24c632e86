"""Certifies rows: what is guaranteed while the inputs stay in a box, and how large the box may be."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.errors import InvalidInput, TooLarge
from chainzrule.service.naming import hint, shown
from chainzrule.service.runtime.bounds import Bounds, Boxes
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.serving.question import MAX_RADIUS, Question
from chainzrule.service.serving.version import BOX_VALUES, ServedModel
from chainzrule.service.stability.certificate import (
    Conclusions,
    conclude,
    label_is_certain,
    leaving_probability,
)

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

BISECTIONS = 12


class Certificates(NamedTuple):
    """Holds what is guaranteed of rows, with the rows first.

    Attributes:
        bounds: the bounds of the scores.
        conclusions: what follows from the bounds.
        largest: the largest proved size of each box in which the label cannot change, in the question's unit; None for
            a row whose box is a single point. The whole list is None for a model without labels.
        flips: the chance that normal noise takes a row out of its largest box, which no flip probability can exceed;
            None where that says nothing. The whole list is None for a model without labels.
    """

    bounds: Bounds
    conclusions: Conclusions
    largest: list[float | None] | None
    flips: list[float | None] | None


def check_certificates(served: ServedModel, wanted: Question, maximum: int) -> None:
    """Raises `TooLarge` for more rows than `maximum`, and `NoBounds` for versions that have no bounds graph."""
    if len(wanted.instances) > maximum:
        raise TooLarge(
            f"must be at most {maximum} rows where radius or box is given; send several requests", "instances"
        )
    served.require_bounds()


def reach(wanted: Question, rows: RowEncoder, features: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Returns how far the box reaches below and above every row, each (rows, D), in raw units and at least 0.

    Raises:
        InvalidInput: the box names a feature that is unknown or categorical, or a row lies outside the box.
    """
    if wanted.radius is not None:
        distance = wanted.radius * wanted.noise_scale * rows.errors.sizes(features)
        return distance, distance
    assert wanted.box is not None
    return _box_reach(wanted.box, rows, features.astype(np.float64))


def _box_reach(box: Mapping[str, float | list[float]], rows: RowEncoder, features: Floats) -> tuple[Floats, Floats]:
    below, above = np.zeros(features.shape), np.zeros(features.shape)
    for name, ends in box.items():
        if name not in rows.start:
            raise InvalidInput(
                f"has {shown([name], 1)}, which is no feature of the model{hint(name, rows.names)}", "box"
            )
        column = rows.start[name]
        if name not in rows.ranges.names:
            raise InvalidInput("has levels; a box is made of numeric features", f"box.{name}")
        if not isinstance(ends, list):
            below[:, column] = above[:, column] = ends
            continue
        # The ends are cast to float32 as the rows are, so that rounding puts no row at an end outside.
        low, high = np.array(ends, dtype=np.float32).astype(np.float64)
        outside = (features[:, column] < low) | (features[:, column] > high)
        if outside.any():
            raise InvalidInput("does not hold the row's own value", f"box.{name}")
        below[:, column], above[:, column] = features[:, column] - low, high - features[:, column]
        above[:, column] = np.maximum(above[:, column], ends[1] - features[:, column])
        below[:, column] = np.maximum(below[:, column], features[:, column] - ends[0])
    return below, above


async def certify(
    served: ServedModel,
    features: NDArray[np.float32],
    label: Indices,
    below: Floats,
    above: Floats,
    first_order: Floats,
    unit: float,
    noise: Floats | None,
    deadline: float,
) -> Certificates:
    """Returns what is guaranteed of each row.

    Args:
        served: the model version.
        features: (rows, D) the encoded rows.
        label: (rows,) the labels as answered.
        below: (rows, D) how far the box reaches below the row, in raw units.
        above: (rows, D) how far the box reaches above the row, in raw units.
        first_order: (rows,) the factor by which the box can be scaled until the label changes, to first order.
        unit: the size in the answer that stands for the factor 1.
        noise: (D,) one sigma of the noise of each column; None where its law is not normal, or it is not of one size.
        deadline: when the request's time runs out, by the event loop's clock.
    """
    link = served.model.link
    bounds: list[Bounds] = []
    largest: list[float | None] = []
    flips: list[float | None] = []
    size = max(1, BOX_VALUES // served.card.width)
    for start in range(0, len(features), size):
        part = slice(start, start + size)
        chunk = _Chunk(served, features[part].astype(np.float64), label[part], below[part], above[part], deadline)
        bounds.append(await chunk.bounds(np.ones(len(chunk.middle))))
        if link.has_labels:
            found = await chunk.largest(np.minimum(2.0 * first_order[part], MAX_RADIUS / unit))
            largest += [None if factor is None else unit * factor for factor in found]
            stretched = np.array([factor or 0.0 for factor in found])[:, None]
            flips += _flips(stretched * below[part], stretched * above[part], noise)
    whole = Bounds(*(np.concatenate(parts) for parts in zip(*bounds, strict=True)))
    if not link.has_labels:
        return Certificates(whole, conclude(link, label, *whole), None, None)
    return Certificates(whole, conclude(link, label, *whole), largest, flips)


def _flips(below: Floats, above: Floats, noise: Floats | None) -> list[float | None]:
    """Returns the chance, or more, that noise leaves each box, where that says anything."""
    if noise is None:
        return [None] * len(below)
    return [chance if chance < 1.0 else None for chance in leaving_probability(below, above, noise).tolist()]


class _Chunk:
    """Bounds the boxes of some rows together."""

    def __init__(
        self, served: ServedModel, middle: Floats, label: Indices, below: Floats, above: Floats, deadline: float
    ) -> None:
        self._served = served
        self.middle = middle
        self._label = label
        self._below = below
        self._above = above
        self._deadline = deadline

    async def bounds(self, factor: Floats) -> Bounds:
        """Returns the bounds over the boxes, scaled around their rows by (rows,) factors."""
        low, high = self.middle - factor[:, None] * self._below, self.middle + factor[:, None] * self._above
        return await self._served.bound(Boxes(low, high, self._label), self._deadline)

    async def largest(self, maximum: Floats) -> list[float | None]:
        """Returns the largest factor, up to `maximum`, by which each box can be scaled while the label provably stays.

        The factor is found by bisection, and the one returned has itself been proved. It is None where the box is a
        single point.
        """
        proven, unproven = np.zeros(len(maximum)), maximum
        for _ in range(BISECTIONS):
            factor = (proven + unproven) / 2
            bounds = await self.bounds(factor)
            certain = label_is_certain(
                self._served.model.link, self._label, bounds.lower, bounds.upper, bounds.margin_lower
            )
            proven, unproven = np.where(certain, factor, proven), np.where(certain, unproven, factor)
        moves: NDArray[np.bool_] = np.asarray((self._below + self._above > 0).any(axis=1))
        return [float(factor) if moved else None for factor, moved in zip(proven, moves, strict=True)]
