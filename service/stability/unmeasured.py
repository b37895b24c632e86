"""Holds predictions whose stability was not measured."""

from collections.abc import Iterable
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.outputs import Inputs, Outputs
from chainzrule.service.stability.predictions import Listed, Predictions
from chainzrule.service.stability.standard import Standard

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


class Unmeasured(Predictions):
    """Holds predictions that were not measured, because that would take further runs; none of them is observed."""

    def __init__(self, standard: Standard, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__(standard, inputs, outputs)
        self.finite = np.asarray(np.isfinite(outputs.scores).all(axis=1))
        self.all_finite = bool(self.finite.all())
        scores = np.where(self.finite[:, None], outputs.scores, 0.0).astype(np.float64)
        self._reading = self.link.read(scores)

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

    def observed(self) -> None:
        """Returns None, because rows that were not measured say nothing about the traffic's stability."""
