"""Computes how much each input affects a prediction: the reported output's derivatives, per unit and noise sigma."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.noise import Noise

Floats = NDArray[np.float64]


class Sensitivity(NamedTuple):
    """Holds the sensitivities of a batch; arrays are (rows, D).

    Attributes:
        gradient: derivative of the reported output with respect to each input, per raw unit.
        effect: change of the output that one noise sigma of the input makes, to first order.
        share: the input's share of the output's first-order variance; 0 where the output has no variance. Where noise
            is correlated, it is the input's covariance with the whole, so that shares still add up to 1; an input whose
            noise makes up for others' has a negative one.
    """

    gradient: Floats
    effect: Floats
    share: Floats


def sensitivity(
    gradient: Floats, jacobian: NDArray[np.floating], noise: Noise, noise_scale: Floats, rows: NDArray[np.floating]
) -> Sensitivity:
    """Returns the sensitivities, from the output's gradient and the scores' Jacobian by the chain rule.

    Args:
        gradient: (rows, S) derivative of the reported output with respect to the scores.
        jacobian: (rows, S, D) derivative of the scores with respect to the inputs.
        noise: what one noise sigma is.
        noise_scale: (rows,) multiples of that noise.
        rows: (rows, D) the inputs, of which noise may be a share.
    """
    chained = np.einsum("ns,nsd->nd", gradient, jacobian.astype(np.float64))
    effect = chained * noise.sizes(rows) * noise_scale[:, None]
    moved = effect.copy()
    for group in noise.together:
        moved[:, group.columns] = effect[:, group.columns] @ (group.root @ group.root.T)
    variance = effect * moved
    total = variance.sum(axis=1, keepdims=True)
    return Sensitivity(chained, effect, variance / np.where(total > 0, total, 1.0))
