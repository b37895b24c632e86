"""Computes how much each input affects a prediction: the reported output's derivatives, per unit and noise sigma."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Sensitivity(NamedTuple):
    """Holds the sensitivities of a batch; arrays are (rows, D).

    Attributes:
        gradient: derivative of the reported output with respect to each input, per raw unit.
        effect: change of the output that one noise sigma of the input makes, to first order.
        share: the input's share of the output's first-order variance; 0 where the output has no variance.
    """

    gradient: Floats
    effect: Floats
    share: Floats


def sensitivity(gradient: Floats, jacobian: NDArray[np.floating], noise: Floats, noise_scale: Floats) -> Sensitivity:
    """Returns the sensitivities, from the output's gradient and the scores' Jacobian by the chain rule.

    Args:
        gradient: (rows, S) derivative of the reported output with respect to the scores.
        jacobian: (rows, S, D) derivative of the scores with respect to the inputs.
        noise: (D,) one noise sigma of each input.
        noise_scale: (rows,) multiples of that noise.
    """
    chained = np.einsum("ns,nsd->nd", gradient, jacobian.astype(np.float64))
    effect = chained * noise * noise_scale[:, None]
    variance = effect * effect
    total = variance.sum(axis=1, keepdims=True)
    return Sensitivity(chained, effect, variance / np.where(total > 0, total, 1.0))
