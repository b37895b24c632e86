"""Measures a batch of rows, in arrays that have rows first."""

import math
from collections.abc import Iterable
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import Method
from chainzrule.service.stability.measures import Diagnosis, diagnose, take
from chainzrule.service.stability.observed import Observed
from chainzrule.service.stability.outputs import Inputs, Outputs
from chainzrule.service.stability.predictions import Listed, Measured
from chainzrule.service.stability.reference import percentiles
from chainzrule.service.stability.soundness import Unsound
from chainzrule.service.stability.standard import Member, Standard
from chainzrule.service.stability.verdict import CLOSE_CALL, NOT_MEASURABLE, VERDICTS, Beside, Judged, Verdicts, judge

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]


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
        self.unsound = None
        self._drawn = np.full(len(scores), outputs.counted is not None) if outputs.drawn is None else outputs.drawn
        self._is_final = outputs.drawn is not None
        self._ranked = outputs.ranked
        unsound = self._unsound()
        self._is_outside: Mask = np.asarray(self.outside.any(axis=1))
        right = standard.chance_right(scores, self._diagnosis.label)
        beside = Beside(self._is_outside, outputs.novelty, right)
        self.verdicts: Verdicts = judge(standard.rules, self._diagnosis, beside, unsound)
        if unsound:
            self.unsound = np.logical_or.reduce(list(unsound.values()))

    def _unsound(self) -> Unsound:
        """Returns why some rows are not measurable: by cause, which rows, (rows,)."""
        soundness = self.standard.soundness
        if soundness is None or self._drawn.all():
            return {}
        measures = self._diagnosis
        found = soundness.unsound(
            self.inputs.features, self.inputs.noise_scale, measures.curvature, measures.flip_distance
        )
        return {cause: left for cause, rows in found.items() if (left := rows & ~self._drawn & self.finite).any()}

    @property
    def measures(self) -> Diagnosis:
        """Returns the measures as arrays over the rows, also those of unsound rows."""
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
            zip(
                levels,
                reasons,
                self._methods(),
                zip(*map(self._values, self.standard.members), strict=True),
                strict=True,
            ),
            strict=True,
        )

    def judged(self, part: slice) -> Iterable[Judged]:
        """Returns the verdict on each of the rows `part`, and the reasons for it."""
        return self.verdicts.judged(part)

    def _methods(self) -> Iterable[Method | None]:
        if self.unsound is None and not self._drawn.any():
            return repeat(self.standard.method, len(self))
        unsound = np.zeros(len(self), np.bool_) if self.unsound is None else self.unsound
        return [
            None if lost else "monte_carlo" if drawn else self.standard.method
            for lost, drawn in zip(unsound.tolist(), self._drawn.tolist(), strict=True)
        ]

    def _values(self, member: Member) -> list[Any]:
        found = self._listed_values(member)
        if self.unsound is None or member.sound:
            return found
        return [None if lost else value for value, lost in zip(found, self.unsound.tolist(), strict=True)]

    def _listed_values(self, member: Member) -> list[Any]:
        values: NDArray[Any] = self._diagnosis[member.field]
        if member.known is None:
            found: list[Any] = values.tolist()
            return [None if value == math.inf else value for value in found] if member.is_distance else found
        ranks: list[Any] = percentiles(values, member.known).tolist()
        usual = (self.inputs.noise_scale == 1.0) & self._ranked
        return ranks if usual.all() else [rank if plain else None for rank, plain in zip(ranks, usual, strict=True)]

    def observed(self) -> Observed | None:
        """Returns the finite rows that are to be observed; None where there are none."""
        counted = every = self.inputs.observe & self.finite
        if self.unsound is not None:
            counted = counted & ~self.unsound
            if not self._is_final:  # rows that may still be drawn are observed when that is decided
                every = counted
        rows, lost = int(np.count_nonzero(counted)), int(np.count_nonzero(every & ~counted))
        if rows + lost == 0:
            return None
        chosen = slice(None) if rows == len(self) else counted  # a slice gives views, without copying
        level, outside = self.verdicts.level[chosen], self._is_outside[chosen]
        is_novel = np.zeros(len(self), np.bool_) if self.novelty is None else self.novelty.novel
        is_outside = bool(self._is_outside[every].any())
        return Observed(
            rows,
            take(self._diagnosis, chosen),
            level,
            outside,
            int(np.count_nonzero(self._is_outside[every])),
            is_novel[chosen],
            int(np.count_nonzero(is_novel[every])),
            int(np.count_nonzero(self.verdicts.having(CLOSE_CALL)[every])),
            None if self.probabilities is None else self.probabilities[np.arange(len(self)), self.label][chosen],
            {**dict(zip(VERDICTS, np.bincount(level, minlength=len(VERDICTS)).tolist(), strict=True)), **_lost(lost)},
            self._ranges.counted(self.outside[every]) if is_outside else {},
        )


def _lost(rows: int) -> dict[str, int]:
    """Returns how many rows are not measurable, by the name of that verdict."""
    return {VERDICTS[NOT_MEASURABLE]: rows} if rows else {}
