"""Writes the graph that certifies: lower and upper bounds of the scores while the inputs stay in a box.

Later hidden layers are replaced by lines with exact remainders, and every bound is carried back through them to the
first layer (`training/bounds/box.py`); the bounds that decide the answer are then carried back once more, through
parabolas of their own (`training/bounds/parabolas.py`). docs/certificates.md derives all of it.

Everything is computed in float64, from the constants that the model graph has in float32. The bounds hold for the
scores that the model graph computes in float32, because they include every layer's rounding error.
"""

from dataclasses import replace

from torch import Tensor

from chainzrule.service.artifact.interface import Task
from chainzrule.training.bounds.box import Box, Layer, Span, column_norms, enter, span
from chainzrule.training.bounds.inputs import BentInputs
from chainzrule.training.bounds.parabolas import Line, through_parabolas
from chainzrule.training.bounds.relaxation import DOUBLE, LARGEST, chord, magnitude, stray, taylor
from chainzrule.training.nn.folded import Folded
from chainzrule.training.nn.link import link_of
from chainzrule.training.onnxwriter import GraphWriter, Value, total

SQUARINGS = 2  # how often a matrix is squared to bound its eigenvalues
MATRIX_VALUES = 2**12  # layers whose matrices have more numbers than this for each input are bounded without squarings


def bounds_graph(folded: Folded, task: Task, opset: int) -> bytes:
    """Returns the serialised ONNX graph low, high (batch, D) float64 -> lower, upper (batch, S), bounds of the scores.

    A classification's graph also takes label (batch,) int64 and gives margin_lower and margin_upper (batch, S), the
    bounds of the label's score minus each score.
    """
    width, scores = folded.weights[0].shape[1], len(folded.output_bias)
    writer = GraphWriter(opset)
    low, high = writer.input("low", "double", width), writer.input("high", "double", width)
    layers = [
        Layer(
            _constant(writer, weight),
            _constant(writer, bias),
            [_constant(writer, row) for row in rows],
            *weight.shape,
        )
        for weight, bias, rows in zip(folded.weights, folded.biases, folded.coefficients, strict=True)
    ]
    output = Layer(
        _constant(writer, folded.output_weight), _constant(writer, folded.output_bias), [], *folded.output_weight.shape
    )
    norms = writer.constant(column_norms(folded.weights[0].detach().float().double().numpy()))
    bends = None if folded.bent is None else BentInputs.of(folded.bent.bends, writer)
    box = enter(layers[0], low, high, _constant(writer, folded.offset), norms, bends)
    lines: list[Line] = []
    for layer in layers[1:]:
        lines.append(_cross(layer, box, lines))
    error = output.rounding() * output.sums(lines[-1].size if lines else box.size)
    weights = output.weight.expand_dims(0)
    if link_of(task).has_margins:
        found = _range(weights, output.bias, box, lines)
        lower, upper = found.lower, found.upper
    else:  # every score of an ordinal model is the same number less a threshold
        lower, upper = _tight_range(weights, None, box, lines)
        lower, upper = lower + output.bias, upper + output.bias
    outputs = [("lower", lower - error, (scores,)), ("upper", upper + error, (scores,))]
    if link_of(task).has_margins:
        label = writer.input("label", "int64")
        rivals = output.weight.take(label).expand_dims(1) - output.weight
        lower, upper = _tight_range(rivals, output.bias.take(label).expand_dims(1) - output.bias, box, lines)
        error = error + error.take_along_axis(label)
        outputs += [("margin_lower", lower - error, (scores,)), ("margin_upper", upper + error, (scores,))]
    return writer.finish(outputs)


def _cross(layer: Layer, box: Box, lines: list[Line]) -> Line:
    """Returns the two lines between which the values of a later hidden layer lie."""
    matrices = 2 * layer.width * box.layer.width**2
    squarings = SQUARINGS if matrices <= MATRIX_VALUES * box.layer.inputs else 0
    sums = _range(layer.weight.expand_dims(0), layer.bias, box, lines, squarings)
    reach = layer.sums(lines[-1].size if lines else box.size)
    error = layer.rounding() * reach
    middle, radius = 0.5 * (sums.lower + sums.upper), (0.5 + DOUBLE) * (sums.upper - sums.lower).relu() + error
    expanded = taylor(layer.coefficients, middle)
    slope = chord(expanded, radius)
    below, above = stray(expanded, slope, radius)
    size, steepest = magnitude(layer.coefficients, abs(middle) + radius)
    size = size.infinite_above(LARGEST)
    rounding = layer.polynomial_rounding() * size
    away = abs(slope) * error + rounding
    shift = slope * middle
    return Line(
        layer=layer,
        slope=slope,
        low=below - shift - away,
        high=above - shift + away,
        size=size + abs(shift),
        middle=middle,
        radius=radius,
        expanded=expanded,
        slopes=sums.slopes,
        centre=0.5 * (sums.remainder_lower + sums.remainder_upper),
        drift=(0.5 + DOUBLE) * (sums.remainder_upper - sums.remainder_lower).relu() + error,
        steepest=steepest,
        reach=reach,
        error=error,
        rounding=rounding,
    )


def _tight_range(weights: Value, constant: Value | None, box: Box, lines: list[Line]) -> tuple[Value, Value]:
    """Returns the lower and upper bounds of `_range`, tightened by parabolas.

    The parabolas touch the polynomials near the inputs where the lines' bounds are reached.
    """
    found = _range(weights, constant, box, lines, 0 if lines else SQUARINGS)
    if not lines:
        return found.lower, found.upper
    both = weights.concatenate(-weights)
    above, below = through_parabolas(both, found.points, box, lines, SQUARINGS).split(2)
    if constant is not None:
        # Adding the constant in float64 errs by less than DOUBLE times either addend.
        room = DOUBLE * abs(constant)
        above, below = above + constant + room, below - constant + room
    return found.lower.maximum(-below), found.upper.minimum(above)


def _range(weights: Value, constant: Value | None, box: Box, lines: list[Line], squarings: int = 0) -> Span:
    """Returns the bounds of `weights` (batch or 1, m, width) times the values after the last line, plus `constant`.

    With no lines the values are the first hidden layer's. Float32's rounding is included.
    """
    lower, upper, size = [], [], []
    if constant is not None:
        lower, upper, size = [constant], [constant], [abs(constant)]
    for line in reversed(lines):
        up, down = weights.relu(), -((-weights).relu())
        lower.append(up.matvec(line.low) + down.matvec(line.high))
        upper.append(up.matvec(line.high) + down.matvec(line.low))
        size.append(abs(weights).matvec(line.size))
        weights = weights * line.slope.expand_dims(1)
        shift = weights @ line.layer.bias
        lower.append(shift)
        upper.append(shift)
        size.append(abs(weights).matvec(line.reach))
        weights = weights @ line.layer.weight
    first, first_size = span(weights, box, squarings)
    slack = DOUBLE * total([first_size, *size]) + abs(weights).matvec(box.error)
    below, above = total([*lower, -slack]), total([*upper, slack])
    return replace(
        first,
        lower=first.lower + below,
        upper=first.upper + above,
        remainder_lower=first.remainder_lower + below,
        remainder_upper=first.remainder_upper + above,
    )


def _constant(writer: GraphWriter, values: Tensor) -> Value:
    return writer.constant(values.detach().float().numpy())
