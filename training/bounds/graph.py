"""The graph that certifies: what the scores can be at least and at most while the inputs stay in a box.

Later hidden layers are replaced by lines with exact remainders, and every bound is carried back through them to the
first layer (`training/bounds/box.py`); what matters most is then carried back once more, through parabolas of its own
(`training/bounds/parabolas.py`). docs/certificates.md derives all of it.

Everything is computed in float64, of the constants that the model graph has in float32, and holds for the scores that
the model graph computes in float32: every layer's own rounding is one more thing that the bounds have room for.
"""

from dataclasses import replace

from torch import Tensor

from chainzrule.service.artifact.interface import Task
from chainzrule.training.bounds.box import LARGEST, Box, Layer, Span, column_norms, enter, span
from chainzrule.training.bounds.parabolas import Line, through_parabolas
from chainzrule.training.bounds.relaxation import DOUBLE, chord, magnitude, stray, taylor
from chainzrule.training.nn.folded import Folded
from chainzrule.training.nn.link import link_of
from chainzrule.training.onnxwriter import GraphWriter, Value, total

SQUARINGS = 2  # of every matrix whose eigenvalues are bounded
MATRIX_VALUES = 2**12  # for each input: layers whose matrices have more numbers go without


def bounds_graph(folded: Folded, task: Task, opset: int) -> bytes:
    """low, high (batch, D) float64 -> lower, upper (batch, S) of the scores, as a serialised ONNX graph.

    A classification also takes label (batch,) int64 and gives margin_lower and margin_upper (batch, S): of the label's
    score minus each score.
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
    box = enter(layers[0], low, high, _constant(writer, folded.offset), norms)
    lines: list[Line] = []
    for layer in layers[1:]:
        lines.append(_cross(layer, box, lines))
    error = output.rounding() * output.sums(lines[-1].size if lines else box.size)
    rows = output.weight.at(0)
    if link_of(task).has_margins:
        found = _range(rows, output.bias, box, lines)
        least, most = found.least, found.most
    else:  # the scores of an ordinal model are one, less thresholds
        least, most = _tight_range(rows, None, box, lines)
        least, most = least + output.bias, most + output.bias
    outputs = [("lower", least - error, (scores,)), ("upper", most + error, (scores,))]
    if link_of(task).has_margins:
        label = writer.input("label", "int64")
        rivals = output.weight.rows(label).at(1) - output.weight
        least, most = _tight_range(rivals, output.bias.rows(label).at(1) - output.bias, box, lines)
        error = error + error.pick(label)
        outputs += [("margin_lower", least - error, (scores,)), ("margin_upper", most + error, (scores,))]
    return writer.finish(outputs)


def _cross(layer: Layer, box: Box, lines: list[Line]) -> Line:
    """The lines that a later hidden layer lies between."""
    matrices = 2 * layer.width * box.layer.width**2
    squarings = SQUARINGS if matrices <= MATRIX_VALUES * box.layer.inputs else 0
    sums = _range(layer.weight.at(0), layer.bias, box, lines, squarings)
    reach = layer.sums(lines[-1].size if lines else box.size)
    error = layer.rounding() * reach
    middle, radius = 0.5 * (sums.least + sums.most), (0.5 + DOUBLE) * (sums.most - sums.least).relu() + error
    expanded = taylor(layer.coefficients, middle)
    slope = chord(expanded, radius)
    below, above = stray(expanded, slope, radius)
    size, steepest = magnitude(layer.coefficients, abs(middle) + radius)
    size = size.up_to(LARGEST)
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
        centre=0.5 * (sums.under + sums.over),
        drift=(0.5 + DOUBLE) * (sums.over - sums.under).relu() + error,
        steepest=steepest,
        reach=reach,
        error=error,
        rounding=rounding,
    )


def _tight_range(rows: Value, constant: Value | None, box: Box, lines: list[Line]) -> tuple[Value, Value]:
    """As `_range`, also through parabolas that suit the inputs where the lines' bounds are reached."""
    found = _range(rows, constant, box, lines, 0 if lines else SQUARINGS)
    if not lines:
        return found.least, found.most
    both = rows.beside(-rows)
    most, least = through_parabolas(both, found.points, box, lines, SQUARINGS).halves()
    if constant is not None:
        # Its sum is off by less than DOUBLE of either.
        room = DOUBLE * abs(constant)
        most, least = most + constant + room, least - constant + room
    return found.least.most(-least), found.most.least(most)


def _range(rows: Value, constant: Value | None, box: Box, lines: list[Line], squarings: int = 0) -> Span:
    """The range of `rows` (batch or 1, m, width) times the values after the last of `lines`, plus `constant`."""
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
        size.append(abs(rows).times(line.reach))
        rows = rows @ line.layer.weight
    first, first_size = span(rows, box, squarings)
    slack = DOUBLE * total([first_size, *size]) + abs(rows).times(box.error)
    below, above = total([*least, -slack]), total([*most, slack])
    return replace(
        first,
        least=first.least + below,
        most=first.most + above,
        under=first.under + below,
        over=first.over + above,
    )


def _constant(writer: GraphWriter, values: Tensor) -> Value:
    return writer.constant(values.detach().float().numpy())
