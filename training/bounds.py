"""The graph that certifies: what the scores can be at least and at most while the inputs stay in a box.

The first hidden layer is linear in the inputs, so any weighted sum of its neurons is a quadratic of the inputs but for
a small remainder; such sums are bounded over the whole box at once. Later layers are replaced by lines with exact
remainders, and every bound is carried back through them to the first layer. docs/certificates.md derives all of it.

Everything is computed in float64, of the constants that the model graph has in float32, and holds for the scores that
the model graph computes in float32: every layer's own rounding is one more thing that the bounds have room for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from service.artifact.card import Task
from training.graphs import Folded
from training.relaxation import bend_spread, chord, magnitude, stray, taylor
from training.writer import GraphWriter, Value

UNIT = 2.0**-24  # float32's rounding, relative
DOUBLE = 2.0**-32  # float64's, after as many operations as a graph of 2^20 inputs and neurons has behind one another
MORE = 1 + 1 / 64  # for what is of higher order in the units, and for float64's rounding of the error itself
SQUARINGS = 2  # of a matrix, to bound its eigenvalues for margins; for hidden layers they would triple the time
TINY = 2.0**-100  # ONNX Runtime drops an addend that float32 rounds to 0


@dataclass(frozen=True)
class _Layer:
    """A layer's constants: the (width, inputs) weight, and the (width,) bias and coefficients c_1 to c_n, if any."""

    weight: Value
    bias: Value
    coefficients: list[Value]
    inputs: int

    def rounding(self) -> float:
        """The relative error of float32's weighted sums, in any order."""
        return (self.inputs + 3) * UNIT * MORE

    def polynomial_rounding(self) -> float:
        """The relative error of float32's polynomials."""
        return (2 * len(self.coefficients) + 2) * UNIT * MORE


@dataclass(frozen=True)
class _Line:
    """A later layer's values between two parallel lines: slope (W h + b) + low <= p(z) <= slope (W h + b) + high.

    `low` and `high`, (batch, width) as `slope`, have room for float32's error. No partial sum is larger than `size`.
    """

    layer: _Layer
    slope: Value
    low: Value
    high: Value
    size: Value


@dataclass(frozen=True)
class _Box:
    """The inputs' box, and the first hidden layer over it.

    Attributes:
        layer: the layer.
        radius: (batch, D) half the box's width.
        expanded: Taylor coefficients of the layer's polynomials about the box's middle, each (batch, width).
        squares: (batch, width) of how far the pre-activations get from the middle.
        spread: (batch, width), see `bend_spread`.
        error: (batch, width) how far float32's values may lie from the polynomials of the inputs.
        size: (batch, width) no value and no partial sum of a polynomial is larger.
        share: (batch, D) weights of an ellipsoid around the box.
        gram: (batch, width, width) products of the layer's weights in the ellipsoid's metric.
    """

    layer: _Layer
    radius: Value
    expanded: list[Value]
    squares: Value
    spread: Value
    error: Value
    size: Value
    share: Value
    gram: Value


def bounds_graph(folded: Folded, task: Task, opset: int) -> bytes:
    """low, high (batch, D) float64 -> lower, upper (batch, S) of the scores, as a serialised ONNX graph.

    A classification also takes label (batch,) int64 and gives margin_lower and margin_upper (batch, S): of the label's
    score minus each score.
    """
    width, scores = folded.weights[0].shape[1], len(folded.output_bias)
    writer = GraphWriter(opset)
    low, high = writer.input("low", "double", width), writer.input("high", "double", width)
    layers = [
        _Layer(
            _constant(writer, weight),
            _constant(writer, bias),
            [_constant(writer, row) for row in rows],
            weight.shape[1],
        )
        for weight, bias, rows in zip(folded.weights, folded.biases, folded.coefficients, strict=True)
    ]
    output = _Layer(
        _constant(writer, folded.output_weight),
        _constant(writer, folded.output_bias),
        [],
        folded.output_weight.shape[1],
    )
    norms = writer.constant(_column_norms(folded.weights[0]))
    box = _enter(layers[0], low, high, _constant(writer, folded.offset), norms)
    lines: list[_Line] = []
    for layer in layers[1:]:
        lines.append(_cross(layer, box, lines))
    error = _sum_error(output, lines[-1].size if lines else box.size)
    rows = output.weight.at(0)
    # The scores of an ordinal model are one, less thresholds.
    least, most = _range(rows, None if task == "ordinal" else output.bias, box, lines)
    if task == "ordinal":
        least, most = least + output.bias, most + output.bias
    outputs = [("lower", least - error, scores), ("upper", most + error, scores)]
    if task == "classification":
        label = writer.input("label", "int64")
        rivals = output.weight.rows(label).at(1) - output.weight
        least, most = _range(rivals, output.bias.rows(label).at(1) - output.bias, box, lines, sharp=True)
        error = error + error.pick(label)
        outputs += [("margin_lower", least - error, scores), ("margin_upper", most + error, scores)]
    return writer.finish(outputs)


def _enter(layer: _Layer, low: Value, high: Value, offset: Value, norms: Value) -> _Box:
    """The box, and its first hidden layer."""
    size = abs(layer.weight).transposed(2)
    # A value inside the box may leave it by its cast to float32; half the width must not be rounded down.
    cast = UNIT * abs(low).most(abs(high))
    radius = (0.5 + DOUBLE) * (high - low) + (1 + DOUBLE) * cast
    centred = 0.5 * (low + high) - offset
    middle = centred @ layer.weight.transposed(2) + layer.bias
    away = radius @ size
    error = layer.rounding() * ((abs(centred) + radius) @ size + abs(layer.bias))
    expanded = taylor(layer.coefficients, middle)
    largest, steepest = magnitude(layer.coefficients, abs(middle) + away + error)
    # Any positive weights are sound; these suit columns of unlike size.
    metric = layer.weight * (radius / norms).at(1)
    return _Box(
        layer=layer,
        radius=radius,
        expanded=expanded,
        squares=away * away,
        spread=bend_spread(expanded, away),
        error=steepest * error + layer.polynomial_rounding() * largest,
        size=largest,
        share=radius * norms,
        gram=metric @ layer.weight.transposed(2),
    )


def _cross(layer: _Layer, box: _Box, lines: list[_Line]) -> _Line:
    """The lines that a later hidden layer lies between."""
    least, most = _range(layer.weight.at(0), layer.bias, box, lines)
    error = _sum_error(layer, lines[-1].size if lines else box.size)
    middle, radius = 0.5 * (least + most), (0.5 + DOUBLE) * (most - least).relu() + error
    expanded = taylor(layer.coefficients, middle)
    slope = chord(expanded, radius)
    below, above = stray(expanded, slope, radius)
    size, _ = magnitude(layer.coefficients, abs(middle) + radius)
    error = abs(slope) * error + layer.polynomial_rounding() * size
    shift = slope * middle
    return _Line(layer, slope, below - shift - error, above - shift + error, size + abs(shift))


def _range(
    rows: Value, constant: Value | None, box: _Box, lines: list[_Line], sharp: bool = False
) -> tuple[Value, Value]:
    """(batch, m) range of `rows` (batch or 1, m, width) times the values after the last of `lines`, plus `constant`."""
    least, most, size = [], [], []
    if constant is not None:
        least, most, size = [constant], [constant], [abs(constant)]
    for line in reversed(lines):
        up, down = rows.relu(), -((-rows).relu())
        least.append(up.times(line.low) + down.times(line.high))
        most.append(up.times(line.high) + down.times(line.low))
        size.append(abs(rows).times(line.size))
        rows = rows * line.slope.at(1)
        shift = rows @ line.layer.bias
        least.append(shift)
        most.append(shift)
        size.append(abs(rows) @ abs(line.layer.bias))
        rows = rows @ line.layer.weight
    below, above, terms = _first_range(rows, box, sharp)
    slack = DOUBLE * _total([terms, *size]) + abs(rows).times(box.error)
    return _total([below, *least]) - slack, _total([above, *most]) + slack


def _first_range(rows: Value, box: _Box, sharp: bool) -> tuple[Value, Value, Value]:
    """(batch, m) range of `rows` times the first hidden layer's values, and the size of what that is summed from."""
    size = abs(rows).times(box.size)
    middle = rows.times(box.expanded[0])
    linear = ((rows * box.expanded[1].at(1)) @ box.layer.weight) * box.radius.at(1)
    straight = abs(linear).sum(2)
    if len(box.expanded) == 2:  # a straight line
        return middle - straight, middle + straight, size
    bend, spread = rows * box.expanded[2].at(1), abs(rows) * box.spread.at(1)
    # Upper bounds of the rows and of their negatives, in one go.
    linear, bend = linear.beside(-linear), (spread + bend).beside(spread - bend)
    each = straight.beside(straight) + bend.relu().times(box.squares)
    curvature = _largest_eigenvalue(bend, box.gram, SQUARINGS if sharp else 0)
    joint = _quadratic(linear, bend, box, curvature.at(2) * box.share.at(1))
    most, least = each.least(joint).halves()
    one, other = curvature.halves()
    return middle - least, middle + most, size + (one + other) * box.share.sum(1).at(1)


def _quadratic(linear: Value, bend: Value, box: _Box, curvature: Value) -> Value:
    """(batch, m) upper bound of linear e + sum_i bend_i d_i^2, with d = W (radius e), over all |e_f| <= 1.

    `curvature` (batch, m, D) is a diagonal that dominates the quadratic form. About any point e0 of the box, the form
    is at most its value there + sum_f (g_f u_f + curvature_f u_f^2), with g its gradient there and u = e - e0; and that
    sum is largest at an end of every u_f.
    """
    weight, radius = box.layer.weight, box.radius.at(1)
    curvature = curvature + TINY
    gradient, bounds = linear, []
    for _ in range(2):
        point = (gradient / (2.0 * curvature)).most(-1.0).least(1.0)
        moved = (point * radius) @ weight.transposed(2)
        bent = bend * moved
        gradient = linear + 2.0 * (bent @ weight) * radius
        up, down = 1.0 - point, 1.0 + point
        ends = ((gradient + curvature * up) * up).most((curvature * down - gradient) * down)
        bounds.append((linear * point + ends).sum(2) + (bent * moved).sum(2))
    return bounds[0].least(bounds[1])


def _largest_eigenvalue(bend: Value, gram: Value, squarings: int) -> Value:
    """(batch, m) upper bound of the eigenvalues' magnitude of diag(bend) gram, from the trace of an even power.

    They are the quadratic form's in the ellipsoid's metric, and real. The power is the second, squared so often. What
    is added covers rounding where terms cancel: no power's trace is larger than that power of the root of `whole`.
    """
    squares = gram * gram
    whole = ((abs(bend) @ squares) * abs(bend)).sum(2)
    bound = (((bend @ squares) * bend).sum(2).relu() + DOUBLE * whole).sqrt()
    product = bend.at(3) * gram.at(1)
    for squaring in range(squarings):
        product = product @ product
        whole = whole * whole
        root = (product * product.transposed(4)).sum(2, 3).relu() + DOUBLE * whole
        for _ in range(squaring + 2):
            root = root.sqrt()
        bound = bound.least(root)
    return bound


def _sum_error(layer: _Layer, size: Value) -> Value:
    """(batch, width) float32's error in a layer's weighted sums of values of at most this size."""
    return layer.rounding() * (size @ abs(layer.weight).transposed(2) + abs(layer.bias))


def _total(values: list[Value]) -> Value:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def _constant(writer: GraphWriter, values: Tensor) -> Value:
    return writer.constant(values.detach().float().numpy())


def _column_norms(weight: Tensor) -> NDArray[np.float64]:
    norms = np.linalg.norm(weight.detach().float().double().numpy(), axis=0)
    return np.asarray(np.maximum(norms, max(norms.max(), TINY) * 1e-6))
