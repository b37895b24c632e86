"""Bounds the first hidden layer, and weighted sums of its neurons, over a box of inputs.

The first hidden layer is linear in the inputs, so any weighted sum of its neurons is a quadratic of the inputs but for
a small remainder; such sums are bounded over the whole box at once. docs/certificates.md derives it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.training.bounds.inputs import BentInputs
from chainzrule.training.bounds.relaxation import DOUBLE, LARGEST, UNIT, bend_spread, magnitude, taylor
from chainzrule.training.onnxwriter import Value

MORE = 1 + 1 / 64  # covers terms of higher order in UNIT, and float64's rounding of the error bound itself
TINY = 2.0**-100  # smaller addends would do nothing: ONNX Runtime drops an addend that float32 rounds to 0


@dataclass(frozen=True)
class Layer:
    """Holds a layer's constants: the (width, inputs) weight, the (width,) bias, and (width,) coefficients c_1 to c_n.

    The output layer has no coefficients.
    """

    weight: Value
    bias: Value
    coefficients: list[Value]
    width: int
    inputs: int

    def rounding(self) -> float:
        """Returns the relative error bound of weighted sums in float32, in whichever order they are added."""
        return (self.inputs + 3) * UNIT * MORE

    def polynomial_rounding(self) -> float:
        """Returns the relative error bound of the polynomials in float32."""
        return (2 * len(self.coefficients) + 2) * UNIT * MORE

    def sums(self, size: Value) -> Value:
        """Returns a (batch, width) upper bound of all sums and partial sums of inputs whose magnitude is <= `size`.

        The bound is infinite where the sum may overflow float32, and so are all bounds computed from it.
        """
        return (size @ abs(self.weight).matrix_transpose(2) + abs(self.bias)).infinite_above(LARGEST)


@dataclass(frozen=True)
class Box:
    """Holds the box of inputs and what is known of the first hidden layer over it.

    Attributes:
        layer: the first hidden layer.
        radius: (batch, D) half the box's width.
        expanded: Taylor coefficients of the layer's polynomials about the box's middle, each (batch, width).
        bend: (batch, width) the quadratic one of these coefficients; 0 where the polynomials are linear.
        away: (batch, width) upper bound of the pre-activations' distance from their value at the middle.
        spread: (batch, width) upper bound of how far the quadratic coefficient varies over the box (`bend_spread`).
        error: (batch, width) upper bound of the difference between the values in float32 and the exact polynomials.
        size: (batch, width) upper bound of the magnitude of every value and partial sum of a polynomial.
        share: (batch, D) weights of the coordinates in an ellipsoid that contains the box.
        gram: (batch, width, width) Gram matrix of the layer's weights in the ellipsoid's metric.
    """

    layer: Layer
    radius: Value
    expanded: list[Value]
    bend: Value
    away: Value
    spread: Value
    error: Value
    size: Value
    share: Value
    gram: Value


@dataclass(frozen=True)
class Span:
    """Holds the bounds of m weighted sums over the box.

    An input of the box is its middle + radius e with |e_f| <= 1. The linear part of the sums is `slopes` d, with
    d = W (radius e); what is left of a sum without it is its remainder.

    Attributes:
        lower: (batch, m) lower bounds of the sums.
        upper: (batch, m) upper bounds of the sums.
        remainder_lower: (batch, m) lower bounds of the remainders.
        remainder_upper: (batch, m) upper bounds of the remainders.
        slopes: (batch, m, width) the linear part's coefficients.
        points: (batch, 2 m, D) an e near each sum's maximum, then an e near each sum's minimum.
    """

    lower: Value
    upper: Value
    remainder_lower: Value
    remainder_upper: Value
    slopes: Value
    points: Value


def enter(layer: Layer, low: Value, high: Value, offset: Value, norms: Value, bends: BentInputs | None = None) -> Box:
    """Returns the box from `low` to `high`, both (batch, D), with the first hidden layer's bounds over it.

    Args:
        layer: the first hidden layer.
        low: the inputs' smallest values.
        high: the inputs' largest values.
        offset: the constant that the model graph subtracts from its inputs.
        norms: (D,) the column norms of the layer's weight (`column_norms`).
        bends: the scales on which the model graph reads its inputs; None where it takes them as they are.
    """
    size = abs(layer.weight).matrix_transpose(2)
    # A value inside the box may leave it by its cast to float32; half the width must not be rounded down.
    cast = UNIT * abs(low).maximum(abs(high)).infinite_above(LARGEST)
    if bends is not None:
        low, high, cast = bends.read(low, high, cast)
    radius = (0.5 + DOUBLE) * (high - low) + (1 + DOUBLE) * cast
    centred = 0.5 * (low + high) - offset
    middle = centred @ layer.weight.matrix_transpose(2) + layer.bias
    away = radius @ size
    error = layer.rounding() * layer.sums(abs(centred) + radius)
    expanded = taylor(layer.coefficients, middle)
    largest, steepest = magnitude(layer.coefficients, abs(middle) + away + error)
    largest = largest.infinite_above(LARGEST)
    # Any positive weights are sound; these suit columns of unlike size.
    metric = layer.weight * (radius / norms).expand_dims(1)
    return Box(
        layer=layer,
        radius=radius,
        expanded=expanded,
        bend=expanded[2] if len(expanded) > 2 else 0.0 * middle,
        away=away,
        spread=bend_spread(expanded, away),
        error=steepest * error + layer.polynomial_rounding() * largest,
        size=largest,
        share=radius * norms,
        gram=metric @ layer.weight.matrix_transpose(2),
    )


def span(weights: Value, box: Box, squarings: int) -> tuple[Span, Value]:
    """Returns the bounds of `weights` (batch or 1, m, width) times the first hidden layer's exact values.

    Float32's rounding is not included. The second result is a (batch, m) bound of the magnitude of what is summed. More
    `squarings` of each sum's matrix (`largest_eigenvalue`) make the bounds tighter and cost more.
    """
    middle, slopes = weights.matvec(box.expanded[0]), weights * box.expanded[1].expand_dims(1)
    linear = (slopes @ box.layer.weight) * box.radius.expand_dims(1)
    straight = abs(linear).sum(2)
    bend, spread = weights * box.bend.expand_dims(1), abs(weights) * box.spread.expand_dims(1)
    # The sums and their negatives are bounded from above together: the negatives give the lower bounds.
    linear, bend = linear.concatenate(-linear), (spread + bend).concatenate(spread - bend)
    curvature = _largest_of_diagonal(bend, box.gram, squarings)
    joint, points = quadratic(linear, lambda moved: bend * moved, curvature, box)
    separate, whole = bend.relu().matvec(box.away * box.away), curvature * box.share.sum(1).expand_dims(1)
    above, below = (straight.concatenate(straight) + separate).minimum(joint).split(2)
    remainder_above, remainder_below = separate.minimum(whole).split(2)
    one, other = whole.split(2)
    size = abs(weights).matvec(box.size) + one + other
    found = Span(
        lower=middle - below,
        upper=middle + above,
        remainder_lower=middle - remainder_below,
        remainder_upper=middle + remainder_above,
        slopes=slopes,
        points=points,
    )
    return found, size


def quadratic(linear: Value, form: Callable[[Value], Value], curvature: Value, box: Box) -> tuple[Value, Value]:
    """Returns a (batch, m) upper bound of linear e + d form(d), with d = W (radius e), over all |e_f| <= 1.

    The second result is (batch, m, D), for each bound an e near which it is reached.

    `curvature` (batch, m) is at least the form's largest eigenvalue in the ellipsoid's metric, so the form is dominated
    by a diagonal one, `curvature` times the share. About any point e0 of the box it is then at most its value there
    + sum_f (g_f u_f + diagonal_f u_f^2), with g its gradient there and u = e - e0; and that sum is largest at an end of
    every u_f.
    """
    weight, radius = box.layer.weight, box.radius.expand_dims(1)
    diagonal = curvature.expand_dims(2) * box.share.expand_dims(1) + TINY
    gradient, bounds = linear, []
    for _ in range(2):
        point = (gradient / (2.0 * diagonal)).maximum(-1.0).minimum(1.0)
        moved = (point * radius) @ weight.matrix_transpose(2)
        bent = form(moved)
        gradient = linear + 2.0 * (bent @ weight) * radius
        up, down = 1.0 - point, 1.0 + point
        ends = ((gradient + diagonal * up) * up).maximum((diagonal * down - gradient) * down)
        bounds.append((linear * point + ends).sum(2) + (bent * moved).sum(2))
    return bounds[0].minimum(bounds[1]), point


def largest_eigenvalue(product: Value, whole: Value, squarings: int) -> Value:
    """Returns a (batch, m) upper bound of the magnitude of matrices' real eigenvalues, from the trace of an even power.

    The power is 2^(squarings + 1). The added slack covers rounding where terms cancel: even with all terms taken in
    absolute value, no power's trace is larger than that power of the square root of `whole` (batch, m).
    """
    for _ in range(squarings):
        product, whole = product @ product, whole * whole
    root = (product * product.matrix_transpose(4)).sum(2, 3).relu() + DOUBLE * whole
    for _ in range(squarings + 1):
        root = root.sqrt()
    return root + TINY  # covers underflow


def _largest_of_diagonal(bend: Value, gram: Value, squarings: int) -> Value:
    """Returns a (batch, m) upper bound of the magnitude of the eigenvalues of diag(bend) gram.

    Without squarings this needs no matrix product for each sum: the trace of the square is a quadratic form in bend.
    """
    squares = gram * gram
    whole = ((abs(bend) @ squares) * abs(bend)).sum(2)
    if squarings:
        return largest_eigenvalue(bend.expand_dims(3) * gram.expand_dims(1), whole, squarings)
    return (((bend @ squares) * bend).sum(2).relu() + DOUBLE * whole).sqrt()


def column_norms(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the (D,) column norms of a (width, D) weight, each raised to at least a millionth of the largest."""
    norms = np.linalg.norm(weight, axis=0)
    return np.asarray(np.maximum(norms, max(norms.max(), TINY) * 1e-6))
