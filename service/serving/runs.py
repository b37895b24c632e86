"""Runs a model and measures its outputs, which is the work that an engine does for a batch of requests."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.runtime.model import Model
from chainzrule.service.stability.conformal import DEFAULT_CONFIDENCE
from chainzrule.service.stability.measuring import measure
from chainzrule.service.stability.outputs import Inputs
from chainzrule.service.stability.predictions import Measured
from chainzrule.service.stability.soundness import Soundness
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.unmeasured import Unmeasured
from chainzrule.service.stability.verdict import Thresholds


def standard_of(card: ModelCard, model: Model, thresholds: Thresholds) -> Standard:
    """Returns what the rows of a model version are measured against."""
    return Standard(
        model.link,
        model.rows.ranges,
        card.reference,
        thresholds,
        card.conformity,
        card.novelty,
        model.rows.column_features,
        Soundness(model.rows.errors, card.calibration, counted=card.method == "monte_carlo"),
        card.method,
    )


class Runs:
    """Runs one model version. It is safe to use from several threads."""

    def __init__(self, model: Model, standard: Standard) -> None:
        self._model = model
        self._standard = standard

    def predict(self, inputs: Inputs) -> Measured:
        """Returns predictions with their stability."""
        return measure(self._standard, inputs, self._model.predict(inputs.features, inputs.noise_scale))

    def answer(self, inputs: Inputs) -> Unmeasured:
        """Returns predictions without stability, where measuring would take further runs."""
        return Unmeasured(self._standard, inputs, self._model.answer(inputs.features))


def inputs_of(
    features: NDArray[np.float32], noise_scale: float, observe: bool, confidence: float = DEFAULT_CONFIDENCE
) -> Inputs:
    """Returns the inputs of a request, whose rows share its conditions; only at noise scale 1 they are observed."""
    return Inputs(features, *_conditions(len(features), noise_scale, observe and noise_scale == 1.0, confidence))


def join(parts: Sequence[Inputs]) -> Inputs:
    """Returns the rows of several requests as one batch."""
    return Inputs(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


@lru_cache(maxsize=64)
def _conditions(
    rows: int, noise_scale: float, observe: bool, confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    conditions = np.full(rows, noise_scale), np.full(rows, observe), np.full(rows, confidence)
    for shared in conditions:
        shared.flags.writeable = False
    return conditions
