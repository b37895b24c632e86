"""Holds predictions whose stability was not measured."""

from collections.abc import Iterable
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.outputs import Inputs, Outputs
from chainzrule.service.stability.predictions import Listed, Predictions
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.verdict import BESIDE, NOT_COMPUTED, Beside, Judged

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


class Unmeasured(Predictions):
    """Holds predictions that were not measured, because that would take further runs; none of them is observed."""

    def __init__(self, standard: Standard, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__(standard, inputs, outputs)
        self.finite = np.asarray(np.isfinite(outputs.scores).all(axis=1))
        self.all_finite = bool(self.finite.all())
        self._finite_scores: Floats = np.where(self.finite[:, None], outputs.scores, 0.0).astype(np.float64)
        self._reading = self.link.read(self._finite_scores)

    @property
    def label(self) -> Indices:
        """Returns the (rows,) index of the label."""
        return self._reading.label

    @property
    def value(self) -> Floats:
        """Returns the (rows,) reported output."""
        return self._reading.value

    def _spread(self) -> Floats:
        raise TypeError("volatility takes further runs, so no interval may hang on it")

    def listed(self) -> Iterable[Listed]:
        """Returns every row in plain Python, without stability."""
        any_outside: list[bool] = np.asarray(self.outside.any(axis=1)).tolist()
        outside, nothing = self._listed_outside(any_outside), repeat(None, len(self))
        return zip(
            self.label.tolist(),
            self.value.tolist(),
            self._listed_probabilities(),
            self._listed_regions(),
            repeat(None, len(self)) if self.novelty is None else self.novelty.listed(),
            outside,
            nothing,
            strict=True,
        )

    def judged(self, part: slice) -> Iterable[Judged]:
        """Returns no verdict on each of the rows `part`, and those reasons that need no measures."""
        right = self.standard.chance_right(self._finite_scores, self.label)
        beside = Beside(self.outside.any(axis=1), self._surprise, right)
        rules = [rule for rule in self.standard.rules if rule.fact in BESIDE]
        levels = [(rule.reason, rule.level(None, beside)[part].tolist()) for rule in rules]
        for row in range(part.stop - part.start):
            yield NOT_COMPUTED, [reason for reason, level in levels if level[row]]

    def observed(self) -> None:
        """Returns None, because rows that were not measured say nothing about the traffic's stability."""
