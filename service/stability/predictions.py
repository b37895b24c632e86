"""Holds the predictions of one run and measures a batch; `lone.prediction` does one row. Arrays have rows first."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.certificate import Conclusions, Ends
from chainzrule.service.stability.conformal import ListedRegion, intervals, label_sets, listed_ends, members
from chainzrule.service.stability.measures import Diagnosis, diagnose, take
from chainzrule.service.stability.novelty import ListedNovelty, Novelties
from chainzrule.service.stability.observed import Observed
from chainzrule.service.stability.outputs import Inputs, Outputs
from chainzrule.service.stability.reference import percentiles
from chainzrule.service.stability.standard import Member, Standard
from chainzrule.service.stability.verdict import VERDICTS, Beside, Judged, Verdicts, judge

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

# A row's stability in plain Python: the verdict as an index into `verdict.VERDICTS`, its reasons, and the values that
# `Standard.members` names. An infinite distance is None, and so is a percentile at another noise scale than 1.
ListedStability = tuple[int, list[str], Sequence[Any]]
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
    """

    covariance: NDArray[np.float32]
    slope: Floats | None

    @property
    @abstractmethod
    def diagnosis(self) -> Diagnosis:
        """Returns the measures as arrays over the rows."""

    @property
    @abstractmethod
    def level(self) -> Indices:
        """Returns the (rows,) verdicts, as indices into `verdict.VERDICTS`."""

    @property
    def label(self) -> Indices:
        """Returns the (rows,) index of the label."""
        return self.diagnosis.label

    @property
    def value(self) -> Floats:
        """Returns the (rows,) reported output."""
        return self.diagnosis.value

    def _spread(self) -> Floats:
        return self.diagnosis.gradient_norm


class Batch(Measured):
    """Measures a batch."""

    def __init__(self, standard: Standard, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__(standard, inputs, outputs)
        assert outputs.covariance is not None
        self.covariance = covariance = outputs.covariance
        self.slope = outputs.slope
        scores, mean_shift = outputs.scores, outputs.mean_shift
        finite = np.isfinite(covariance).all(axis=(1, 2)) & np.isfinite(scores).all(axis=1)
        if mean_shift is not None:
            finite &= np.isfinite(mean_shift).all(axis=1)
        if self.novelty is not None:
            finite &= np.isfinite(self.novelty.surprise)
        self.finite = np.asarray(finite)
        self.all_finite = bool(self.finite.all())
        if not self.all_finite:
            # Rows that are not finite are measured as zeros, so that they raise no warnings for the whole batch.
            scores = np.where(self.finite[:, None], scores, 0.0)
            covariance = np.where(self.finite[:, None, None], covariance, 0.0)
            if mean_shift is not None:
                mean_shift = np.where(self.finite[:, None], mean_shift, 0.0)
        if outputs.counted is None:
            self._diagnosis = diagnose(self.link, scores, covariance, inputs.noise_scale, mean_shift)
        else:
            self._diagnosis = outputs.counted
        self._is_outside: Mask = np.asarray(self.outside.any(axis=1))
        right = standard.chance_right(scores, self._diagnosis.label)
        beside = Beside(self._is_outside, outputs.novelty, right)
        self.verdicts: Verdicts = judge(standard.rules, self._diagnosis, beside)

    @property
    def diagnosis(self) -> Diagnosis:
        """Returns the measures as arrays over the rows."""
        return self._diagnosis

    @property
    def level(self) -> Indices:
        """Returns the (rows,) verdicts, as indices into `verdict.VERDICTS`."""
        return self.verdicts.level

    def listed(self) -> Iterable[Listed]:
        """Returns every row in plain Python."""
        levels = self.verdicts.level.tolist()
        reasons = [self.verdicts.reasons(row) if level else [] for row, level in enumerate(levels)]
        return zip(
            self._diagnosis.label.tolist(),
            self._diagnosis.value.tolist(),
            self._listed_probabilities(),
            self._listed_regions(),
            repeat(None, len(self)) if self.novelty is None else self.novelty.listed(),
            self._listed_outside(self._is_outside.tolist()),
            zip(levels, reasons, zip(*map(self._values, self.standard.members), strict=True), strict=True),
            strict=True,
        )

    def judged(self, part: slice) -> Iterable[Judged]:
        """Returns the verdict on each of the rows `part`, and the reasons for it."""
        return self.verdicts.judged(part)

    def _values(self, member: Member) -> list[Any]:
        values: NDArray[Any] = self._diagnosis[member.field]
        if member.known is None:
            found: list[Any] = values.tolist()
            return [None if value == math.inf else value for value in found] if member.is_distance else found
        ranks: list[Any] = percentiles(values, member.known).tolist()
        usual = self.inputs.noise_scale == 1.0
        return ranks if usual.all() else [rank if plain else None for rank, plain in zip(ranks, usual, strict=True)]

    def observed(self) -> Observed | None:
        """Returns the finite rows that are to be observed; None where there are none."""
        counted = self.inputs.observe & self.finite
        rows = int(np.count_nonzero(counted))
        if rows == 0:
            return None
        chosen = slice(None) if rows == len(self) else counted  # a slice gives views, without copying
        level, outside = self.verdicts.level[chosen], self._is_outside[chosen]
        novel = np.zeros(rows, np.bool_) if self.novelty is None else self.novelty.novel[chosen]
        return Observed(
            rows,
            take(self._diagnosis, chosen),
            level,
            outside,
            int(np.count_nonzero(outside)),
            novel,
            int(np.count_nonzero(novel)),
            None if self.probabilities is None else self.probabilities[np.arange(len(self)), self.label][chosen],
            dict(zip(VERDICTS, np.bincount(level, minlength=len(VERDICTS)).tolist(), strict=True)),
            self._ranges.counted(self.outside[chosen]) if outside.any() else {},
        )
