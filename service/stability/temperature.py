"""Says how likely a label is to be right, by probabilities that came true on rows that the model was not fitted to.

This is temperature scaling (Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, 2017): one
number divides the scores. It changes no label and no probability of an answer, only which answers are called close.
"""

import math

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.link import Link

Floats = NDArray[np.float64]

LARGEST = 16.0  # the temperature, and its least inverse
STEPS = 30  # each leaves two thirds of the interval that the logarithm of the temperature lies in


def fit_temperature(link: Link, scores: Floats, y: NDArray[np.generic]) -> float | None:
    """Returns the temperature at which held-out rows are most likely, to four digits.

    It is None where there are no labels, and where no row was answered wrongly: nothing then tells how surely a model
    errs, and the likelihood grows with ever larger scores.

    Args:
        link: what the scores mean.
        scores: (rows, S) the scores.
        y: (rows,) the true labels' indices, or the true values.
    """
    if not link.has_labels or np.array_equal(link.label(scores), y):
        return None

    def loss(logarithm: float) -> float:
        return -float(link.log_likelihood(scores * math.exp(-logarithm), y).mean())

    # The loss is convex in the inverse of the temperature, so that it has a single minimum.
    low, high = -math.log(LARGEST), math.log(LARGEST)
    for _ in range(STEPS):
        third = (high - low) / 3.0
        if loss(low + third) > loss(high - third):
            low += third
        else:
            high -= third
    return float(f"{math.exp((low + high) / 2.0):.4g}")


def chance_right(link: Link, scores: NDArray[np.floating], label: NDArray[np.int64], temperature: float) -> Floats:
    """Returns (rows,) the chance that each row's label is right."""
    probabilities = link.probabilities(scores.astype(np.float64) / temperature)
    assert probabilities is not None
    found: Floats = probabilities[np.arange(len(label)), label]
    return found
