"""Defines a question to a model without HTTP; every API fills one in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.serving.asked import AskedNoise
from chainzrule.service.stability.conformal import DEFAULT_CONFIDENCE

MAX_NOISE_SCALE = 100.0
INCLUDES = ("jacobian", "layers", "attributions")
METHODS = ("analytic", "monte_carlo")
DEFAULT_DRAWS = 1000
MAX_SEED = 2**32 - 1
MAX_RADIUS = 1000.0
MOST_NAMES = 2**12  # the most features that one member of a change names


Direction = Literal["increase", "decrease"]


class Change(NamedTuple):
    """Holds how an answer is to change, and how its row may.

    Attributes:
        label: the label to reach; None for any other than the row's, or where the answer is a number.
        at_least: the number that the answer is to reach from below; None where it is not to rise.
        at_most: the number that the answer is to reach from above; None where it is not to fall.
        frozen: the features that stay as they are.
        monotone: the features that may move in one direction only.
        integer: the features that may move to whole numbers only.
        sparse: whether few features are to change, rather than all of them a little.
    """

    label: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    frozen: frozenset[str] = frozenset()
    monotone: Mapping[str, Direction] = MappingProxyType({})
    integer: frozenset[str] = frozenset()
    sparse: bool = False


class Question(NamedTuple):
    """Holds rows for a model and what is asked about them.

    Attributes:
        instances: rows as sent, not yet encoded; a matrix where all are lists of numbers.
        model: the model's name; None for the default model.
        version: the model's version; None for the newest that is ready.
        noise_scale: multiple of the card's noise at which to measure.
        confidence: with which sets and intervals are to hold the truth.
        observe: whether the rows enter metrics and window.
        measure: whether stability is asked for even where it takes further runs.
        top: how many sensitivities to list; None for all.
        include: what else to answer, a selection of `INCLUDES`.
        draws: the number of Monte-Carlo noise draws for each row; 0 for none.
        seed: the seed of the draws.
        radius: half the width, in noise sigmas, of the box to certify; None for no such box.
        box: by feature, how far the box to certify reaches on both sides, or its two ends; None for no such box.
        noise: the noise of some features, in place of the card's; None for the card's.
        baseline: the row that attributions start from, as sent; None for the features' means.
        counterfactual: the change of the answer for which the smallest change of the row is sought; None for none.
    """

    instances: list[Any] | NDArray[np.float64]
    model: str | None = None
    version: str | None = None
    noise_scale: float = 1.0
    confidence: float = DEFAULT_CONFIDENCE
    observe: bool = True
    measure: bool = False
    top: int | None = None
    include: frozenset[str] = frozenset()
    draws: int = 0
    seed: int = 0
    radius: float | None = None
    box: Mapping[str, float | list[float]] | None = None
    noise: AskedNoise | None = None
    baseline: list[Any] | dict[str, Any] | None = None
    counterfactual: Change | None = None

    def part(self, rows: Sequence[int]) -> "Question":
        """Returns the same question about some of the rows, for whichever model it is put to."""
        instances = self.instances
        chosen = instances[list(rows)] if isinstance(instances, np.ndarray) else [instances[row] for row in rows]
        return self._replace(instances=chosen, model=None, version=None)


@dataclass(frozen=True)
class Allowance:
    """Holds the limits of one question.

    Attributes:
        draws: the number of further rows that it may run, for noise draws or differences.
        measured_share: the share of predictions that are measured unasked where that takes further rows.
        certificates: the number of rows that it may have certified.
        batch_rows: the number of rows in a run, where it takes many runs.
    """

    draws: int
    measured_share: float
    certificates: int
    batch_rows: int
