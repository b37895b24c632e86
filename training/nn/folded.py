"""Folds a fitted model's constants in float64, for the exported graphs and the bounds.

What could be done once is done here: the inputs' standard deviation goes into the first weights, every polynomial's
constant into the next bias, the softmax's common direction and the target's unit into the output layer, and the noise
into a factor R of at most width x width. The inputs' mean stays a subtraction, because folded into a bias it would
cancel badly where a column's mean is large against its spread.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chainzrule.training.data.bends import Bends
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.jacobian import hidden_weights
from chainzrule.training.nn.layers import PolynomialLayer
from chainzrule.training.nn.meanshift import leading_directions


@dataclass(frozen=True)
class Folded:
    """Holds the constants of a fitted model's graphs, in float64.

    Attributes:
        offset: (D,) float32 means, or (1,) where all are equal.
        weights: hidden layers' (width, inputs) weights; the first per raw unit.
        biases: hidden layers' (width,) biases.
        coefficients: hidden layers' (degree, width) polynomial coefficients c_1 to c_n.
        output_weight: (S, width) the last layer's weight; ordinal: (1, width), the weight of f.
        output_bias: (S,) the last layer's bias; ordinal: the negative thresholds.
        factor: (first width, rank) R^T with R the QR factor of (W_1 N)^T, so that W_1 N^2 W_1^T = R^T R.
        leading: (directions, first width) the leading directions of that covariance.
        rest: (first width,) the variance that the leading directions leave; None where they leave none.
        bent: what bent columns need besides; None where there are none. The constants of the noise above are then those
            of the straight columns.
    """

    offset: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    coefficients: tuple[Tensor, ...]
    output_weight: Tensor
    output_bias: Tensor
    factor: Tensor
    leading: Tensor
    rest: Tensor | None
    bent: "FoldedBends | None" = None


@dataclass(frozen=True)
class FoldedBends:
    """Holds the constants of columns that are read on logarithmic scales.

    Attributes:
        bends: the scales, in float32's numbers.
        index: (bent,) places of the bent columns.
        noisy: (bent, first width) their columns of W_1 times their noise.
        half_variance: (D,) half their noise's square; 0 for straight columns.
    """

    bends: Bends
    index: NDArray[np.int64]
    noisy: Tensor
    half_variance: Tensor


def fold(model: FittedModel) -> Folded:
    """Returns the constants of a fitted polynomial model.

    Raises:
        TypeError: a hidden layer is not polynomial.
    """
    columns, network = model.columns, model.network
    mean, std, noise = (torch.from_numpy(values) for values in (columns.centre, columns.spread, columns.noise))
    offset = mean.float()
    weights = [weight.detach().double() for weight in hidden_weights(network)]
    weights[0] = weights[0] / std
    biases, coefficients = [], []
    # float32 cannot hold every mean: what it misses goes into the first bias.
    constant = offset.double() - mean
    for layer, weight in zip(network.layers, weights, strict=True):
        if not isinstance(layer, PolynomialLayer):
            raise TypeError("only polynomial layers have the closed form that the graphs are made of")
        biases.append(layer.linear.bias.detach().double() + weight @ constant)
        constant, *others = layer.coefficients.detach().double()
        coefficients.append(torch.stack(others))
    output = copy.deepcopy(network.output).double().requires_grad_(False)
    output_weight = model.link.slope_in_units(output.weight, model.target, dim=0)
    output_bias = model.link.in_units(output.bias + output.weight @ constant, model.target, dim=0)
    bent = None
    if columns.bends is not None:
        index, bending = columns.bends.index, torch.from_numpy(1.0 - columns.bends.keep)
        bent = FoldedBends(columns.bends, index, (weights[0] * noise).T[index], (bending * noise).square() / 2)
    factor = noise_factor(weights[0], torch.from_numpy(columns.noise_root))
    leading, rest = leading_directions(factor)
    return Folded(
        offset=offset[:1] if bool((offset == offset[0]).all()) else offset,
        weights=tuple(weights),
        biases=tuple(biases),
        coefficients=tuple(coefficients),
        output_weight=output_weight,
        output_bias=output_bias,
        factor=factor,
        leading=leading,
        rest=rest,
        bent=bent,
    )


def noise_factor(weight: Tensor, root: Tensor) -> Tensor:
    """Returns R^T, (width, rank), with (weight F)^T = Q R, which gives the scores' covariance.

    Args:
        weight: (width, D) float64, per raw unit.
        root: F of the noise's covariance F F^T in raw units, (D, m); or (D,) its diagonal, where columns without noise
            are left out.
    """
    noisy = (weight * root)[:, root > 0] if root.ndim == 1 else weight @ root
    if noisy.shape[1] == 0:
        return weight.new_zeros(len(weight), 1)
    # numpy's LAPACK, with the signs of R's diagonal made positive: the same weights give the same file.
    factor: NDArray[np.float64] = np.asarray(np.linalg.qr(noisy.numpy().T, mode="r"))
    signs = np.where(np.diagonal(factor) < 0, -1.0, 1.0)
    return torch.from_numpy(np.ascontiguousarray((factor * signs[:, None]).T))
