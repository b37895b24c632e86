"""A box of inputs with the first hidden layer over it, and what sums of its neurons come to at most and least.

The first hidden layer is linear in the inputs, so any weighted sum of its neurons is a quadratic of the inputs but for
a small remainder; such sums are bounded over the whole box at once. docs/certificates.md derives it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.training.bounds.relaxation import DOUBLE, bend_spread, magnitude, taylor
from chainzrule.training.onnxwriter import Value

UNIT = 2.0**-24  # float32's rounding, relative
MORE = 1 + 1 / 64  # for what is of higher order in the units, and for float64's rounding of the error itself
LARGEST = 2.0**127  # what is larger may be infinite in float32, on its way if not at its end
TINY = 2.0**-100  # ONNX Runtime drops an addend that float32 rounds to 0


@dataclass(frozen=True)
class Layer:
    """A layer's constants: the (width, inputs) weight, and the (width,) bias and coefficients c_1 to c_n, if any."""

    weight: Value
    bias: Value
    coefficients: list[Value]
    width: int
    inputs: int

    def rounding(self) -> float:
        """The relative error of float32's weighted sums, in any order."""
        return (self.inputs + 3) * UNIT * MORE

    def polynomial_rounding(self) -> float:
        """The relative error of float32's polynomials."""
        return (2 * len(self.coefficients) + 2) * UNIT * MORE

    def sums(self, size: Value) -> Value:
        """(batch, width) no weighted sum, and no part of one, is larger, of values of at most `size`.

        Infinite where float32 may not hold it, and so is what is made of it.
        """
        return (size @ abs(self.weight).transposed(2) + abs(self.bias)).up_to(LARGEST)


@dataclass(frozen=True)
class Box:
    """The inputs' box, and the first hidden layer over it.

    Attributes:
        layer: the layer.
        radius: (batch, D) half the box's width.
        expanded: Taylor coefficients of the layer's polynomials about the box's middle, each (batch, width).
        bend: (batch, width) the second of them; 0 if there is none.
        away: (batch, width) how far the pre-activations get from the middle.
        spread: (batch, width), see `bend_spread`.
        error: (batch, width) how far float32's values may lie from the polynomials of the inputs.
        size: (batch, width) no value and no partial sum of a polynomial is larger.
        share: (batch, D) weights of an ellipsoid around the box.
        gram: (batch, width, width) products of the layer's weights in the ellipsoid's metric.
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
    """The range of sums, `least` to `most` (batch, m), of which `slopes` d is the linear part, with d = W (radius e).

    Attributes:
        least: the least value.
        most: the largest.
        under: the least value of the sum less its linear part.
        over: the largest of that.
        slopes: (batch, m, width).
        points: (batch, 2 m, D) an e where each sum is about largest, and one where each is about least.
    """

    least: Value
    most: Value
    under: Value
    over: Value
    slopes: Value
    points: Value


def enter(layer: Layer, low: Value, high: Value, offset: Value, norms: Value) -> Box:
    """The box, and its first hidden layer."""
    size = abs(layer.weight).transposed(2)
    # A value inside the box may leave it by its cast to float32; half the width must not be rounded down.
    cast = UNIT * abs(low).most(abs(high)).up_to(LARGEST)
    radius = (0.5 + DOUBLE) * (high - low) + (1 + DOUBLE) * cast
    centred = 0.5 * (low + high) - offset
    middle = centred @ layer.weight.transposed(2) + layer.bias
    away = radius @ size
    error = layer.rounding() * layer.sums(abs(centred) + radius)
    expanded = taylor(layer.coefficients, middle)
    largest, steepest = magnitude(layer.coefficients, abs(middle) + away + error)
    largest = largest.up_to(LARGEST)
    # Any positive weights are sound; these suit columns of unlike size.
    metric = layer.weight * (radius / norms).at(1)
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
        gram=metric @ layer.weight.transposed(2),
    )


def span(rows: Value, box: Box, squarings: int) -> tuple[Span, Value]:
    """The range of `rows` (batch or 1, m, width) times the first hidden layer's values, all rounding apart.

    Also the (batch, m) size of what is summed. `squarings` of a matrix a sum make it sharper.
    """
    middle, slopes = rows.times(box.expanded[0]), rows * box.expanded[1].at(1)
    linear = (slopes @ box.layer.weight) * box.radius.at(1)
    straight = abs(linear).sum(2)
    bend, spread = rows * box.bend.at(1), abs(rows) * box.spread.at(1)
    # Upper bounds of the rows and of their negatives, in one go.
    linear, bend = linear.beside(-linear), (spread + bend).beside(spread - bend)
    curvature = _largest_of_diagonal(bend, box.gram, squarings)
    joint, points = quadratic(linear, lambda moved: bend * moved, curvature, box)
    each, whole = bend.relu().times(box.away * box.away), curvature * box.share.sum(1).at(1)
    most, least = (straight.beside(straight) + each).least(joint).halves()
    over, under = each.least(whole).halves()
    one, other = whole.halves()
    size = abs(rows).times(box.size) + one + other
    return Span(middle - least, middle + most, middle - under, middle + over, slopes, points), size


def quadratic(linear: Value, form: Callable[[Value], Value], curvature: Value, box: Box) -> tuple[Value, Value]:
    """(batch, m) upper bound of linear e + d form(d), with d = W (radius e), over all |e_f| <= 1.

    Also (batch, m, D) an e near which it is reached.

    `curvature` (batch, m) is at least the form's largest eigenvalue in the ellipsoid's metric, so the form is dominated
    by a diagonal one, `curvature` times the share. About any point e0 of the box it is then at most its value there
    + sum_f (g_f u_f + diagonal_f u_f^2), with g its gradient there and u = e - e0; and that sum is largest at an end of
    every u_f.
    """
    weight, radius = box.layer.weight, box.radius.at(1)
    diagonal = curvature.at(2) * box.share.at(1) + TINY
    gradient, bounds = linear, []
    for _ in range(2):
        point = (gradient / (2.0 * diagonal)).most(-1.0).least(1.0)
        moved = (point * radius) @ weight.transposed(2)
        bent = form(moved)
        gradient = linear + 2.0 * (bent @ weight) * radius
        up, down = 1.0 - point, 1.0 + point
        ends = ((gradient + diagonal * up) * up).most((diagonal * down - gradient) * down)
        bounds.append((linear * point + ends).sum(2) + (bent * moved).sum(2))
    return bounds[0].least(bounds[1]), point


def largest_eigenvalue(product: Value, whole: Value, squarings: int) -> Value:
    """(batch, m) upper bound of the magnitude of matrices' real eigenvalues, from the trace of an even power.

    The power is the second, squared so often. What is added covers rounding where terms cancel: no power's trace is
    larger than that power of the root of `whole` (batch, m), not even in absolute values.
    """
    for _ in range(squarings):
        product, whole = product @ product, whole * whole
    root = (product * product.transposed(4)).sum(2, 3).relu() + DOUBLE * whole
    for _ in range(squarings + 1):
        root = root.sqrt()
    return root + TINY  # for what has underflown


def _largest_of_diagonal(bend: Value, gram: Value, squarings: int) -> Value:
    """(batch, m) upper bound of the eigenvalues' magnitude of diag(bend) gram: the second power needs no matrix."""
    squares = gram * gram
    whole = ((abs(bend) @ squares) * abs(bend)).sum(2)
    if squarings:
        return largest_eigenvalue(bend.at(3) * gram.at(1), whole, squarings)
    return (((bend @ squares) * bend).sum(2).relu() + DOUBLE * whole).sqrt()


def column_norms(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """(D,) of a (width, D) weight, none much smaller than the others."""
    norms = np.linalg.norm(weight, axis=0)
    return np.asarray(np.maximum(norms, max(norms.max(), TINY) * 1e-6))
