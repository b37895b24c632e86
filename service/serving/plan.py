"""Puts what is to be changed in a model's terms: what the answer is to become, and which columns may move how far."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import CategoricalFeature, NumericFeature
from chainzrule.service.errors import InvalidInput
from chainzrule.service.naming import hint, shown
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.serving.question import Change
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.counterfactual import Domain, Goal

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Matrix = NDArray[np.float32]


class Plan(NamedTuple):
    """Holds what a question wants changed, in the model's terms.

    Attributes:
        goal: what the answer is to become.
        target: the label to reach; None for any other.
        unit: (D,) one noise sigma of each column that may move; 0 of the others.
        low: (D,) the least value of each column.
        high: (D,) the largest value of each column.
        down: (D,) whether each column may fall.
        up: (D,) whether each column may rise.
        whole: (D,) whether each column moves to whole numbers only.
        categories: first column and number of levels of each category that may change.
        sparse: whether few features are to change.
    """

    goal: Goal
    target: int | None
    unit: Floats
    low: Floats
    high: Floats
    down: Mask
    up: Mask
    whole: Mask
    categories: tuple[tuple[int, int], ...]
    sparse: bool

    def domain(self, row: Matrix) -> Domain:
        """Returns where one row, (D,), may move by its numbers."""
        middle = row.astype(np.float64)
        low = np.where(self.down & (self.unit > 0), np.minimum(self.low, middle), middle)
        high = np.where(self.up & (self.unit > 0), np.maximum(self.high, middle), middle)
        return Domain(middle[None], self.unit, low[None], high[None], self.whole[None])

    def is_met(self, scores: Floats, before: Floats) -> bool:
        """Returns whether (S,) scores are what is wanted of a row that had the (S,) scores `before`."""
        link = self.goal.link
        if not link.has_labels:
            return bool(self.goal.lead(scores[None], np.zeros(1, np.int64))[0] >= 0)
        label = int(link.label(scores[None])[0])
        return label != int(link.label(before[None])[0]) if self.target is None else label == self.target


def make_plan(served: ServedModel, change: Change, noise_scale: float) -> Plan:
    """Returns what is wanted of this model.

    Raises:
        InvalidInput: it names features or a label that the model lacks, or asks what does not fit its task.
    """
    rows, card = served.model.rows, served.card
    if rows.errors.share is not None:
        raise InvalidInput(
            "is measured in noise sigmas, which are no one size here: the noise of some features is a share of their "
            "value",
            "counterfactual",
        )
    _check_names(rows, change)
    ranges, width = rows.ranges, card.width
    low, high = np.zeros(width), np.zeros(width)
    low[ranges.columns], high[ranges.columns] = ranges.low, ranges.high
    unit, whole = rows.noise * noise_scale, np.zeros(width, np.bool_)
    unit[[rows.start[name] for name in change.frozen]] = 0.0
    whole[[rows.start[name] for name in change.integer]] = True
    up, down = np.ones(width, np.bool_), np.ones(width, np.bool_)
    for name, direction in change.monotone.items():
        (down if direction == "increase" else up)[rows.start[name]] = False
    categories = []
    for feature in card.features if card.layout is None else ():
        if isinstance(feature, CategoricalFeature) and feature.name not in change.frozen:
            categories.append((rows.start[feature.name], len(feature.levels)))
        elif isinstance(feature, NumericFeature) and feature.date is not None:
            whole[rows.start[feature.name]] = True
    goal, target = _goal(served, change)
    return Plan(goal, target, unit, low, high, down, up, whole, tuple(categories), change.sparse)


def _check_names(rows: RowEncoder, change: Change) -> None:
    """Raises `InvalidInput` for names that are no features, or categories where numbers belong."""
    numbers = frozenset(rows.ranges.names)
    for place, names in (("frozen", change.frozen), ("monotone", change.monotone), ("integer", change.integer)):
        for name in names:
            if name not in rows.start:
                unknown = f"has {shown([name], 1)}, which is no feature of the model{hint(name, rows.names)}"
                raise InvalidInput(unknown, f"counterfactual.{place}")
            if place != "frozen" and name not in numbers:
                raise InvalidInput("has levels; only numbers go with it", f"counterfactual.{place}.{name}")


def _goal(served: ServedModel, change: Change) -> tuple[Goal, int | None]:
    """Returns what the answer is to become, and the label to reach; None for any other."""
    link, labels = served.model.link, served.card.labels
    limit = change.at_least if change.at_least is not None else change.at_most
    if not link.has_labels and limit is None:
        raise InvalidInput("must have at_least or at_most, the number that the answer is to reach", "counterfactual")
    if link.has_labels and limit is not None:
        raise InvalidInput("at_least and at_most are for models that predict a number; give a label", "counterfactual")
    if change.label is not None and change.label not in labels:
        raise InvalidInput(f"is no label of the model{hint(change.label, labels)}", "counterfactual.label")
    target = None if change.label is None else labels.index(change.label)
    return Goal(link, limit or 0.0, rises=change.at_least is not None), target
