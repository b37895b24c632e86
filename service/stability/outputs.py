"""Holds what goes into a run of a model and what comes out of it, before anything is measured."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.measures import Diagnosis

Matrix = NDArray[np.float32]


class Inputs(NamedTuple):
    """Holds rows to be predicted.

    Attributes:
        features: (rows, D) float32, the encoded rows.
        noise_scale: (rows,) multiples of the card's noise at which to measure.
        observe: (rows,) whether a row enters metrics and window.
        confidence: (rows,) with which a row's set or interval is to hold the truth.
    """

    features: Matrix
    noise_scale: NDArray[np.float64]
    observe: NDArray[np.bool_]
    confidence: NDArray[np.float64]


class Outputs(NamedTuple):
    """Holds the outputs of the model for rows.

    Attributes:
        scores: (rows, S) float32.
        probabilities: (rows, K) float32; None where there are no labels.
        covariance: (rows, S, S) float32, of the scores at one noise sigma; None where it was not asked for.
        mean_shift: (rows, S) float32, what one noise sigma adds to the scores' mean; None where it is not known.
        counted: the measures, where they were estimated from noise draws; None where they follow from the covariance.
        slope: (rows, D) slope of the reported output per raw unit, where noise draws gave it; else None.
        novelty: (rows,) float32, how unlike the training rows a row is; None where the graph does not say.
        deviations: (rows, D) float32, how far each column lies from what the others let expect; None as above.
        drawn: (rows,) which rows' measures were counted from draws; None where it is all of them, or none.
        ranked: whether the measures are under the card's own noise, among whose percentiles they have a rank.
    """

    scores: Matrix
    probabilities: Matrix | None = None
    covariance: NDArray[np.float32] | None = None
    mean_shift: Matrix | None = None
    counted: Diagnosis | None = None
    slope: NDArray[np.float64] | None = None
    novelty: Matrix | None = None
    deviations: Matrix | None = None
    drawn: NDArray[np.bool_] | None = None
    ranked: bool = True
