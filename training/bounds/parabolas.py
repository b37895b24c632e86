"""Bounds weighted sums of a network's last hidden values from above by one quadratic form of the inputs.

Every later neuron, weighted as the sum weighs it, lies below a parabola that touches it near the inputs where the sum
is thought to be largest. A pre-activation is linear in the inputs up to a bounded remainder, so up to a bounded
remainder its parabola is one more quadratic form of the inputs. All these forms are added to the first layer's form
and bounded together.
docs/certificates.md derives it.
"""

from dataclasses import dataclass

from chainzrule.training.bounds.box import TINY, Box, Layer, largest_eigenvalue, quadratic
from chainzrule.training.bounds.relaxation import DOUBLE, parabola, value_at
from chainzrule.training.onnxwriter import Value, total

SHARE = 3.0  # k below is this times drift / (drift + radius); on the digits 4.5 is as tight, and 2 loses 0.01


@dataclass(frozen=True)
class Line:
    """Holds a later layer's values between two parallel lines: slope (W h + b) + low <= p(z) <= slope (W h + b) + high.

    All are (batch, width), except `layer` and `slopes`. Pre-activations z, float32's error included, lie within
    `radius` of `middle`, and within `drift` of `centre` + `slopes` d, where `slopes` d is their linear part (`Span`).

    Attributes:
        layer: the layer.
        slope: the slope of both lines, which is the chord's.
        low: the intercept of the lower line, lowered by float32's error.
        high: the intercept of the upper line, raised by float32's error.
        size: upper bound of the magnitude of every value and partial sum of the polynomials and the lines.
        middle: the middle of the pre-activations' interval.
        radius: half the width of the pre-activations' interval.
        expanded: Taylor coefficients of the polynomials about the middle.
        slopes: (batch, width, first width) the coefficients of the pre-activations' linear part.
        centre: the middle of the interval of the pre-activations' remainder (without the linear part).
        drift: half the width of that interval, float32's error included.
        steepest: upper bound of the magnitude of every slope, and partial sum of one, of the polynomials.
        reach: upper bound of the magnitude of every partial sum of W h + b.
        error: float32's error bound of the pre-activations.
        rounding: float32's error bound of the polynomials.
    """

    layer: Layer
    slope: Value
    low: Value
    high: Value
    size: Value
    middle: Value
    radius: Value
    expanded: list[Value]
    slopes: Value
    centre: Value
    drift: Value
    steepest: Value
    reach: Value
    error: Value
    rounding: Value


def through_parabolas(weights: Value, points: Value, box: Box, lines: list[Line], squarings: int) -> Value:
    """Returns a (batch, m) upper bound of `weights` (batch or 1, m, width) times the values after the last of `lines`.

    `points` (batch, m, D) are the inputs, in units of the box, near which the parabolas touch. The bound holds for any
    points; good ones make it tight.
    """
    values, sizes, slants, forms, largest = [], [], [], [], []
    whole = abs(weights)  # an upper bound of the weights' magnitude at every layer, also of their partial sums
    for line, point in zip(reversed(lines), reversed(_passed(points, box, lines)), strict=True):
        constant, slope, bend = parabola(line.expanded, weights, point, line.radius.expand_dims(1))
        values.append(constant.sum(2) + abs(weights).matvec(line.rounding) + abs(slope).matvec(line.error))
        values.append(slope @ line.layer.bias - slope.matvec(line.middle))
        sizes.append(2.0 * whole.matvec(line.size + line.steepest * (line.reach + abs(line.middle) + line.radius)))
        whole = 2.0 * (whole * line.steepest.expand_dims(1)) @ abs(line.layer.weight)
        # With z = y + q, |q| <= drift: (z - point)^2 <= (1 + k) (y - point)^2 + (1 + 1 / k) drift^2 for any k > 0.
        room = line.radius + line.drift + TINY
        drifted = bend.matvec(line.drift * (line.drift + (1 / SHARE) * room))
        bend = bend * (1.0 + SHARE * line.drift / room).expand_dims(1)
        start = (line.centre - line.middle).expand_dims(1) - point
        values.append((bend * start * start).sum(2) + drifted)
        slants.append((2.0 * bend * start) @ line.slopes)
        longest = abs(start) + abs(line.slopes).matvec(box.away).expand_dims(1)
        sizes.append((bend * longest * longest).sum(2) + drifted)
        forms.append(_form(bend, line.slopes))
        largest.append(_form(bend, abs(line.slopes)))
        weights = slope @ line.layer.weight
    linear = ((weights * box.expanded[1].expand_dims(1) + total(slants)) @ box.layer.weight) * box.radius.expand_dims(1)
    first = weights * box.bend.expand_dims(1) + abs(weights) * box.spread.expand_dims(1)
    bend = first.expand_dims(3) * weights.writer.eye(box.layer.width)
    form, parts = total([bend, *forms]), total([abs(bend), *largest]) @ abs(box.gram).expand_dims(1)
    curvature = largest_eigenvalue(form @ box.gram.expand_dims(1), (parts * parts).sum(2, 3), squarings)
    upper, _ = quadratic(linear, form.batched_matvec, curvature, box)
    slack = DOUBLE * total([whole.matvec(box.size), curvature * box.share.sum(1).expand_dims(1), *sizes])
    return total([weights.matvec(box.expanded[0]), upper, *values, abs(weights).matvec(box.error), slack])


def _form(bend: Value, slopes: Value) -> Value:
    """Returns the (batch, m, n, n) sums of bend_j slopes_j slopes_j^T, for (batch, m, width) and (batch, width, n)."""
    return (slopes.matrix_transpose(3).expand_dims(1) * bend.expand_dims(2)) @ slopes.expand_dims(1)


def _passed(points: Value, box: Box, lines: list[Line]) -> list[Value]:
    """Returns, for each later layer, the (batch, m, width) pre-activations at `points`, relative to their middle."""
    moved = (points * box.radius.expand_dims(1)) @ box.layer.weight.matrix_transpose(2)
    values = value_at([each.expand_dims(1) for each in box.expanded], moved)
    passed = []
    for line in lines:
        radius = line.radius.expand_dims(1)
        moved = values @ line.layer.weight.matrix_transpose(2) + line.layer.bias - line.middle.expand_dims(1)
        passed.append(moved.maximum(-radius).minimum(radius))
        values = value_at([each.expand_dims(1) for each in line.expanded], passed[-1])
    return passed
