"""`radius` and `box`: what is guaranteed of rows while their inputs stay near, and how far near may go."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.errors import InvalidInput, TooLarge
from chainzrule.service.runtime.bounds import Bounds, Boxes
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.serving.question import MAX_RADIUS, Question
from chainzrule.service.serving.version import BOX_VALUES, ServedModel
from chainzrule.service.stability.certificate import (
    expected_level_bounds,
    label_is_certain,
    level_probability_bounds,
    probability_bounds,
    reachable_levels,
)

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

BISECTIONS = 12


def check_certificates(served: ServedModel, wanted: Question, most: int) -> None:
    """Refuse more rows than the setting `max_certificates` allows, and versions that have no bounds graph."""
    if len(wanted.instances) > most:
        raise TooLarge(f"must be at most {most} rows where radius or box is given; send several requests", "instances")
    served.require_bounds()


def reach(wanted: Question, rows: RowEncoder, features: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """(rows, D) how far the box reaches below and above every row, in raw units; both at least 0.

    Raises:
        InvalidInput: the box names a feature that the model has not, or one of levels; or a row lies outside of it.
    """
    if wanted.radius is not None:
        distance = np.broadcast_to(wanted.radius * wanted.noise_scale * rows.noise, features.shape)
        return distance, distance
    assert wanted.box is not None
    return _box_reach(wanted.box, rows, features.astype(np.float64))


def _box_reach(box: Mapping[str, float | list[float]], rows: RowEncoder, features: Floats) -> tuple[Floats, Floats]:
    below, above = np.zeros(features.shape), np.zeros(features.shape)
    for name, ends in box.items():
        if name not in rows.start:
            raise InvalidInput("has a feature that the model does not have", "box")
        column = rows.start[name]
        if name not in rows.numeric:
            raise InvalidInput("has levels; a box is made of numeric features", f"box.{name}")
        if not isinstance(ends, list):
            below[:, column] = above[:, column] = ends
            continue
        # As rows are cast, so are the ends: a row at an end is not outside for its rounding.
        least, largest = np.array(ends, dtype=np.float32).astype(np.float64)
        outside = (features[:, column] < least) | (features[:, column] > largest)
        if outside.any():
            raise InvalidInput("does not hold the row's own value", f"box.{name}")
        below[:, column], above[:, column] = features[:, column] - least, largest - features[:, column]
        above[:, column] = np.maximum(above[:, column], ends[1] - features[:, column])
        below[:, column] = np.maximum(below[:, column], features[:, column] - ends[0])
    return below, above


async def certify(
    served: ServedModel,
    features: NDArray[np.float32],
    label: Labels,
    below: Floats,
    above: Floats,
    first_order: Floats,
    unit: float,
    deadline: float,
) -> list[dict[str, Any]]:
    """What each row's answer has under `certificate`.

    Args:
        served: the model.
        features: (rows, D) encoded.
        label: (rows,) the labels as answered.
        below: (rows, D) how far the box reaches below the row; in raw units.
        above: (rows, D) the same above it.
        first_order: (rows,) the factor by which the box may be stretched until the label changes, to first order.
        unit: what the factor 1 is called in the answer.
        deadline: by the event loop's clock.
    """
    answers: list[dict[str, Any]] = []
    size = max(1, BOX_VALUES // served.card.width)
    for start in range(0, len(features), size):
        part = slice(start, start + size)
        chunk = _Chunk(served, features[part].astype(np.float64), label[part], below[part], above[part], deadline)
        bounds = await chunk.bounds(np.ones(len(chunk.middle)))
        largest = None
        if served.card.task != "regression":
            largest = await chunk.largest(np.minimum(2.0 * first_order[part], MAX_RADIUS / unit))
        answers += _answers(served.card, label[part], bounds, largest, unit)
    return answers


class _Chunk:
    """Rows whose boxes are bounded together."""

    def __init__(
        self, served: ServedModel, middle: Floats, label: Labels, below: Floats, above: Floats, deadline: float
    ) -> None:
        self._served = served
        self.middle = middle
        self._label = label
        self._below = below
        self._above = above
        self._deadline = deadline

    async def bounds(self, factor: Floats) -> Bounds:
        """Bounds over the boxes, stretched about their rows by (rows,) factors."""
        low, high = self.middle - factor[:, None] * self._below, self.middle + factor[:, None] * self._above
        return await self._served.bound(Boxes(low, high, self._label), self._deadline)

    async def largest(self, most: Floats) -> list[float | None]:
        """The largest factor, up to `most`, by which each box may be stretched and the label provably stays.

        Bisected: what is returned has itself been proved. None where a box is its row alone.
        """
        least, open_ = np.zeros(len(most)), most
        for _ in range(BISECTIONS):
            factor = (least + open_) / 2
            bounds = await self.bounds(factor)
            proved = label_is_certain(
                self._served.card.task, self._label, bounds.lower, bounds.upper, bounds.margin_lower
            )
            least, open_ = np.where(proved, factor, least), np.where(proved, open_, factor)
        moves: NDArray[np.bool_] = np.asarray((self._below + self._above > 0).any(axis=1))
        return [float(factor) if moved else None for factor, moved in zip(least, moves, strict=True)]


def _answers(
    card: ModelCard, label: Labels, bounds: Bounds, largest: list[float | None] | None, unit: float
) -> list[dict[str, Any]]:
    lower, upper = bounds.lower, bounds.upper
    parts: dict[str, list[Any]] = {"scores": _named(card.score_names(), lower, upper)}
    if largest is not None:
        certain = label_is_certain(card.task, label, lower, upper, bounds.margin_lower)
        parts["label_is_certain"] = certain.tolist()
        parts["largest"] = [None if factor is None else unit * factor for factor in largest]
    if card.task == "regression":
        parts["value"] = _ranges(lower[:, 0], upper[:, 0])
    elif card.task == "ordinal":
        parts["probabilities"] = _named(card.labels, *level_probability_bounds(lower, upper))
        parts["value"] = _ranges(*expected_level_bounds(lower, upper))
        lowest, highest = reachable_levels(lower, upper)
        parts["labels"] = [
            list(card.labels[first : last + 1]) for first, last in zip(lowest.tolist(), highest.tolist(), strict=True)
        ]
    else:
        least, most = probability_bounds(label, bounds.margin_lower, bounds.margin_upper)
        parts["probabilities"] = _named(card.labels, least, most)
    return [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]


def _named(names: list[str] | tuple[str, ...], lower: Floats, upper: Floats) -> list[dict[str, Any]]:
    return [dict(zip(names, _ranges(least, most), strict=True)) for least, most in zip(lower, upper, strict=True)]


def _ranges(lower: Floats, upper: Floats) -> list[list[float]]:
    """Both ends of each; JSON has null for what is not finite."""
    return np.stack([lower, upper], axis=-1).tolist()  # type: ignore[no-any-return]
