"""Bounds the margins over a box in other ways: interval arithmetic, and CROWN for ReLU. Rounding is not included."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.layers import PolynomialLayer

Floats = NDArray[np.float64]
Certify = Callable[[Floats, Floats, int], Floats]  # low, high (D,), label -> (S,) lower bounds of the margins


def intervals(model: FittedModel) -> Certify:
    """Returns the certificate by interval arithmetic: each layer's intervals follow from the last layer's alone."""
    layers, output, bias = _constants(model)
    ranges = [_ranges(layer) for layer in model.network.layers]

    def certify(low: Floats, high: Floats, label: int) -> Floats:
        middle, radius = _standard(model, (low + high) / 2), (high - low) / 2 / model.columns.std
        for (weight, offset), of in zip(layers, ranges, strict=True):
            centre, reach = weight @ middle + offset, np.abs(weight) @ radius
            low, high = of(centre - reach, centre + reach)
            middle, radius = (low + high) / 2, (high - low) / 2
        rows = output[label] - output
        return np.asarray(rows @ middle + bias[label] - bias - np.abs(rows) @ radius)

    return certify


def relu_crown(model: FittedModel) -> Certify:
    """Returns the certificate by CROWN (Zhang et al. 2018) for ReLU networks.

    An unstable neuron lies below its chord, and above the steeper of 0 and z.
    """
    layers, output, bias = _constants(model)

    def certify(low: Floats, high: Floats, label: int) -> Floats:
        middle, radius = _standard(model, (low + high) / 2), (high - low) / 2 / model.columns.std
        lines: list[tuple[Floats, Floats, Floats]] = []

        def least(rows: Floats, constant: Floats) -> Floats:
            for (weight, offset), (under, over, shift) in reversed(list(zip(layers, lines, strict=False))):
                up, down = np.maximum(rows, 0), np.minimum(rows, 0)
                constant = constant + down @ shift
                rows = up * under + down * over
                constant, rows = constant + rows @ offset, rows @ weight
            return np.asarray(constant + rows @ middle - np.abs(rows) @ radius)

        for weight, offset in layers:
            bottom, top = least(weight, offset), -least(-weight, -offset)
            with np.errstate(divide="ignore", invalid="ignore"):
                over = np.where(bottom >= 0, 1.0, np.where(top <= 0, 0.0, top / (top - bottom)))
            shift = np.where((bottom < 0) & (top > 0), -over * bottom, 0.0)
            under = np.where(bottom >= 0, 1.0, np.where(top <= 0, 0.0, (top > -bottom).astype(float)))
            lines.append((under, over, shift))
        return least(output[label] - output, bias[label] - bias)

    return certify


def _constants(model: FittedModel) -> tuple[list[tuple[Floats, Floats]], Floats, Floats]:
    network = model.network
    layers = [(_array(layer.linear.weight), _array(layer.linear.bias)) for layer in network.layers]
    return layers, _array(network.output.weight), _array(network.output.bias)


def _standard(model: FittedModel, rows: Floats) -> Floats:
    return np.asarray((rows - model.columns.mean) / model.columns.std)


def _ranges(layer: torch.nn.Module) -> Callable[[Floats, Floats], tuple[Floats, Floats]]:
    """Returns the function that bounds a layer's values from its pre-activations' intervals.

    Extremes lie at the ends of an interval, or where the slope is 0.
    """
    if not isinstance(layer, PolynomialLayer):
        return lambda low, high: (np.maximum(low, 0), np.maximum(high, 0))
    coefficients = _array(layer.coefficients)  # (degree + 1, width)
    turns = [np.roots([k * c for k, c in enumerate(column)][:0:-1]) for column in coefficients.T]
    most = max(len(roots) for roots in turns)
    inner = np.array([[root.real for root in roots] + [0.0] * (most - len(roots)) for roots in turns])

    def ranges(low: Floats, high: Floats) -> tuple[Floats, Floats]:
        points = np.clip(inner, low[:, None], high[:, None])  # a point that is no extreme does no harm
        points = np.concatenate([points, low[:, None], high[:, None]], axis=1).T
        values = sum(c * points**k for k, c in enumerate(coefficients))
        return values.min(axis=0), values.max(axis=0)

    return ranges


def _array(values: torch.Tensor) -> Floats:
    return np.asarray(values.detach().double().numpy())
