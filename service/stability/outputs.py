"""What goes into a run of a model and what comes out of it, before anything is concluded from it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.measures import Diagnosis

Matrix = NDArray[np.float32]


class Inputs(NamedTuple):
    """Rows to be predicted.

    Attributes:
        features: (rows, D) float32.
        noise_scale: (rows,) multiples of the card's noise at which to measure.
        observe: (rows,) whether a row enters metrics and window.
    """

    features: Matrix
    noise_scale: NDArray[np.float64]
    observe: NDArray[np.bool_]


class Outputs(NamedTuple):
    """What the model says of rows.

    Attributes:
        scores: (rows, S) float32.
        probabilities: (rows, K) float32; None where there are no labels.
        covariance: (rows, S, S) float32 of the scores at one noise sigma; None where it was not asked for.
        mean_shift: (rows, S) float32, what one noise sigma adds to the scores' mean; None where it is not known.
        counted: the measures, where they were counted over draws of the noise; None where they follow from the rest.
        slope: (rows, D) of the reported output per raw unit, where noise draws gave it; else None.
    """

    scores: Matrix
    probabilities: Matrix | None = None
    covariance: Matrix | None = None
    mean_shift: Matrix | None = None
    counted: Diagnosis | None = None
    slope: NDArray[np.float64] | None = None
