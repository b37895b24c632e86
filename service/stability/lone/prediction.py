"""Holds a prediction of a single row, measured in plain floats."""

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.conformal import ListedRegion
from chainzrule.service.stability.lone.conformal import interval, label_set
from chainzrule.service.stability.lone.link import Row
from chainzrule.service.stability.lone.measures import diagnose_row
from chainzrule.service.stability.lone.reference import percentile
from chainzrule.service.stability.lone.temperature import chance_right
from chainzrule.service.stability.lone.verdict import judge_row
from chainzrule.service.stability.measures import Diagnosis
from chainzrule.service.stability.novelty import ListedNovelty
from chainzrule.service.stability.observed import Observed
from chainzrule.service.stability.outputs import Inputs, Outputs
from chainzrule.service.stability.predictions import Listed, Measured
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.verdict import CLOSE_CALL, VERDICTS, Beside, Judged


class LonePrediction(Measured):
    """Measures one row of few scores, with the interface of a batch."""

    def __init__(self, standard: Standard, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__(standard, inputs, outputs)
        assert outputs.covariance is not None
        self.covariance = outputs.covariance
        self.slope = outputs.slope
        s, C = self.scores[0].tolist(), self.covariance[0].tolist()
        shift = None if outputs.mean_shift is None else outputs.mean_shift[0].tolist()
        novelty: float | None = None if self._surprise is None else self._surprise.item()
        # Finite float32 values cannot overflow a float64 sum.
        self.all_finite = math.isfinite(sum(s) + sum(map(sum, C)) + sum(shift or ()) + (novelty or 0.0))
        self.finite = np.array([self.all_finite])
        if not self.all_finite:
            s, C, shift = [0.0] * len(s), [[0.0] * len(s)] * len(s), None
        self._scale: float = inputs.noise_scale.item()
        self._measures = diagnose_row(standard.link, s, C, self._scale, shift)
        self._is_outside = standard.lone_ranges.is_outside(inputs.features)
        self._novelty = novelty
        self._is_novel = novelty is not None and standard.familiar is not None and novelty > standard.familiar.limit
        T, label = standard.temperature, self._measures.label
        right = None if T is None else chance_right(standard.link, s, label, T)
        unsound: tuple[str, ...] = ()
        if standard.soundness is not None and self.all_finite:
            unsound = standard.soundness.unsound_row(
                inputs.features, self._scale, self._measures.curvature, self._measures.flip_distance
            )
        self.unsound = np.ones(1, np.bool_) if unsound else None
        self._verdict = judge_row(standard.rules, self._measures, Beside(self._is_outside, novelty, right), unsound)

    @cached_property
    def measures(self) -> Diagnosis:
        """Returns the measures as arrays over the one row, also where it is unsound."""
        return Diagnosis(*(np.array([value]) for value in self._measures))

    @property
    def level(self) -> NDArray[np.int64]:
        """Returns the verdict, (1,), as an index into `verdict.VERDICTS`."""
        return np.array([self._verdict.level])

    def listed(self) -> list[Listed]:
        """Returns the row in plain Python."""
        measures, verdict, usual = self._measures, self._verdict, self._scale == 1.0
        members: list[Any] = []
        lost = self.unsound is not None
        for _, field, is_distance, sound, known in self.standard.members:
            value: Any = measures[field]
            if lost and not sound:
                value = None
            elif known is not None:
                value = percentile(value, known) if usual else None
            elif is_distance and value == math.inf:
                value = None
            members.append(value)
        [probabilities], [outside] = self._listed_probabilities(), self._listed_outside([self._is_outside])
        reasons = verdict.reasons() if verdict.level else []
        region, stability = (
            self._region(probabilities),
            (verdict.level, reasons, None if lost else self.standard.method, members),
        )
        novelty = self._listed_novelty()
        return [(measures.label, measures.value, probabilities, region, novelty, outside, stability)]

    def _region(self, probabilities: Row | None) -> ListedRegion:
        regions, measures = self.standard.regions, self._measures
        if regions is None:
            return None
        limit = regions.limit(self.inputs.confidence.item())
        if probabilities is not None:
            return label_set(probabilities, measures.label, limit, regions.ordered)
        assert regions.scale is not None
        return interval(measures.value, regions.scale + regions.per_volatility * measures.gradient_norm, limit)

    def _listed_novelty(self) -> ListedNovelty | None:
        familiar = self.standard.familiar
        if familiar is None or self._novelty is None:
            return None
        deviations = None if self._deviations is None else self._deviations[0]
        return familiar.listed(percentile(self._novelty, familiar.known), self._is_novel, deviations)

    def judged(self, part: slice) -> list[Judged]:
        """Returns the verdict on the row, and the reasons for it; `part` has the row in it, or is empty."""
        return [(VERDICTS[self._verdict.level], self._verdict.reasons())][part]

    def observed(self) -> Observed | None:
        """Returns the row in plain numbers; None where it is not finite, not to be observed, or may still be drawn."""
        if not (self.all_finite and self.inputs.observe[0]) or self.unsound is not None:
            return None
        return Observed(
            1,
            self._measures,
            self._verdict.level,
            self._is_outside,
            int(self._is_outside),
            self._is_novel,
            int(self._is_novel),
            int(self._verdict.level > 0 and CLOSE_CALL in self._verdict.reasons()),
            None if self.probabilities is None else self.probabilities[0, self._measures.label].item(),
            {VERDICTS[self._verdict.level]: 1},
            self._ranges.counted(self.outside) if self._is_outside else {},
        )
