"""Checks the effects that features are declared to have against the model's derivative at each row."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.artifact.features import NumericFeature

# Relative to the row's steepest effect: the sign of a smaller float32 derivative may be due to rounding.
ROUNDING = 1e-6


class Declared(NamedTuple):
    """Holds the declared effect of one feature, and the column of that feature."""

    feature: str
    direction: str
    column: int


class Constraints:
    """Checks the effects that a card declares.

    Each is an effect on the value (regression, ordinal), or on the probability of the second of two labels.
    """

    def __init__(self, card: ModelCard) -> None:
        self.declared: list[Declared] = []
        std: list[float] = []
        for feature in card.features if card.layout is None else ():
            if isinstance(feature, NumericFeature):
                if feature.monotone is not None:
                    self.declared.append(Declared(feature.name, feature.monotone, len(std)))
                std.append(feature.std)
            else:
                std += [0.0] * len(feature.levels)
        self._std = np.array(std)
        self._columns = [declared.column for declared in self.declared]
        self._signs = np.array([1.0 if declared.direction == "increasing" else -1.0 for declared in self.declared])
        self._against_first = card.task == "classification"

    def violated(self, jacobian: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Returns (rows, declared) whether each effect has the wrong sign, given d scores / d columns, (rows, S, D)."""
        if not self.declared:
            return np.zeros((len(jacobian), 0), np.bool_)
        slope = jacobian[:, 0].astype(np.float64)
        if self._against_first:
            slope = jacobian[:, 1] - slope
        effect = slope * self._std
        steepest = np.abs(effect).max(axis=1, keepdims=True, initial=0.0)
        return np.asarray(self._signs * effect[:, self._columns] < -ROUNDING * steepest)
