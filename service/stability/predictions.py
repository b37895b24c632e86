"""Holds the predictions of one run and measures a batch; `lone.prediction` does one row. Arrays have rows first."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import Method
from chainzrule.service.stability.certificate import Conclusions, Ends
from chainzrule.service.stability.conformal import ListedRegion, intervals, label_sets, listed_ends, members
from chainzrule.service.stability.measures import Diagnosis, without
from chainzrule.service.stability.novelty import ListedNovelty, Novelties
from chainzrule.service.stability.observed import Observed
from chainzrule.service.stability.outputs import Inputs, Outputs
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.verdict import Judged

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

# A row's stability in plain Python: the verdict as an index into `verdict.VERDICTS`, its reasons, how it was measured,
# and the values that `Standard.members` names. An infinite distance is None, and so is a percentile at another noise
# scale than 1. Where the row is not measurable, so are the method and most values.
ListedStability = tuple[int, list[str], Method | None, Sequence[Any]]
# A row in plain Python: the index of its label, its reported output, the labels' probabilities (None where there are no
# labels), its region, its novelty (None where the model does not say), the features that are out of range, and its
# stability (None where it was not measured). Plain tuples are made in a third of the time of named ones.
Listed = tuple[int, float, list[float] | None, ListedRegion, ListedNovelty | None, list[str], ListedStability | None]


class Predictions(ABC):
    """Holds the predictions of one run.

    Attributes:
        standard: what the rows are measured against.
        link: what the scores mean.
        inputs: the rows.
        scores: (rows, S) float32.
        probabilities: (rows, K) float32; None where there are no labels.
        finite: (rows,) whether all of the row's outputs are finite; where they are not, its other values are undefined.
        all_finite: whether all outputs of all rows are finite.
        written: the rows as an API has written them, kept here so that the requests of one run share them.
    """

    finite: Mask
    all_finite: bool

    def __init__(self, standard: Standard, inputs: Inputs, outputs: Outputs) -> None:
        self.standard = standard
        self.link = standard.link
        self.inputs = inputs
        self.scores = outputs.scores
        self.probabilities = outputs.probabilities
        self._surprise = outputs.novelty
        self._deviations = outputs.deviations
        self.written: Any = None
        self._ranges = standard.ranges

    def __len__(self) -> int:
        return len(self.scores)

    @property
    @abstractmethod
    def label(self) -> Indices:
        """Returns the (rows,) index of the label."""

    @property
    @abstractmethod
    def value(self) -> Floats:
        """Returns the (rows,) reported output."""

    @abstractmethod
    def listed(self) -> Iterable[Listed]:
        """Returns every row in plain Python."""

    @abstractmethod
    def judged(self, part: slice) -> Iterable[Judged]:
        """Returns the verdict on each of the rows `part`, and the reasons for it."""

    @abstractmethod
    def observed(self) -> Observed | None:
        """Returns the rows that count as traffic; None where there are none."""

    @cached_property
    def outside(self) -> Mask:
        """Returns (rows, numeric features) whether each feature lies outside the range that training saw."""
        return self._ranges.outside(self.inputs.features)

    @cached_property
    def novelty(self) -> Novelties | None:
        """Returns how unlike the training rows each row is; None where the model does not say."""
        familiar = self.standard.familiar
        if familiar is None or self._surprise is None:
            return None
        return Novelties(familiar, self._surprise, self._deviations)

    def surprise(self, part: slice) -> NDArray[np.float32] | None:
        """Returns the novelty of the rows `part`, as the graph gives it; None where it does not."""
        return None if self._surprise is None else self._surprise[part]

    def deviations(self, part: slice) -> NDArray[np.float32] | None:
        """Returns how far their columns lie from what the others let expect, as the graph gives it."""
        return None if self._deviations is None else self._deviations[part]

    def _listed_probabilities(self) -> list[Any]:
        return [None] * len(self) if self.probabilities is None else self.probabilities.tolist()

    @cached_property
    def sets(self) -> Mask | None:
        """Returns (rows, K) whether each label belongs to its row's set; None where there are no sets."""
        regions = self.standard.regions
        if regions is None or self.probabilities is None:
            return None
        return label_sets(self.probabilities, self.label, regions.limits(self.inputs.confidence), regions.ordered)

    @cached_property
    def intervals(self) -> Ends | None:
        """Returns the (rows,) lower and upper ends of the intervals, maybe infinite; None where there are none."""
        return self._intervals((self.value, self.value))

    def regions_within(self, reached: Conclusions, part: slice) -> list[ListedRegion]:
        """Returns the regions of the rows `part` that hold the truth wherever the inputs truly are in their boxes.

        A set has every label that is likely enough anywhere in the box. An interval reaches beyond the outputs in the
        box as far as beyond the row's own.

        Args:
            reached: what is concluded of the rows' boxes.
            part: which rows.
        """
        regions = self.standard.regions
        if reached.probabilities is None:
            assert reached.value is not None
            return list(listed_ends(self._intervals(reached.value, part), len(reached.value[0])))
        most = reached.probabilities[1]
        if regions is None:
            return [None] * len(most)
        limits = regions.limits(self.inputs.confidence[part])
        return list(members(label_sets(most, self.label[part], limits, regions.ordered)))

    def _intervals(self, ends: Ends, part: slice = slice(None)) -> Ends | None:
        regions = self.standard.regions
        if regions is None or regions.scale is None:
            return None
        expected: Floats | float = regions.scale
        if regions.per_volatility:
            expected = regions.scale + regions.per_volatility * self._spread()[part]
        return intervals(*ends, expected, regions.limits(self.inputs.confidence[part]))

    @abstractmethod
    def _spread(self) -> Floats:
        """Returns the (rows,) volatility of a regression's output at one noise sigma."""

    def _listed_regions(self) -> Iterable[ListedRegion]:
        if self.sets is not None:
            return members(self.sets)
        return listed_ends(self.intervals, len(self))

    def _listed_outside(self, any_outside: list[bool]) -> list[list[str]]:
        return [self._ranges.named(self.outside[row]) if out else [] for row, out in enumerate(any_outside)]


class Measured(Predictions):
    """Holds predictions whose stability was measured.

    Attributes:
        covariance: (rows, S, S) float32, of the scores at one noise sigma.
        slope: (rows, D) slope of the reported output per raw unit, where noise draws gave it; else None.
        unsound: (rows,) which rows are not measurable: the closed form does not hold, and nobody drew them; None where
            there is no such row.
    """

    covariance: NDArray[np.float32]
    slope: Floats | None
    unsound: Mask | None

    @property
    @abstractmethod
    def measures(self) -> Diagnosis:
        """Returns the measures as arrays over the rows, also those of unsound rows, where they do not hold."""

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """Returns the measures as arrays over the rows; those of unsound rows are NaN."""
        return self.measures if self.unsound is None else without(self.measures, self.unsound)

    @property
    @abstractmethod
    def level(self) -> Indices:
        """Returns the (rows,) verdicts, as indices into `verdict.VERDICTS`."""

    @property
    def label(self) -> Indices:
        """Returns the (rows,) index of the label."""
        return self.measures.label

    @property
    def value(self) -> Floats:
        """Returns the (rows,) reported output."""
        return self.measures.value

    def _spread(self) -> Floats:
        return self.measures.gradient_norm
