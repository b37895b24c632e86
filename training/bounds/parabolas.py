"""Sums of a network's last hidden values, bounded from above by one quadratic form of the inputs.

Every later neuron, weighted as the sum weighs it, lies below a parabola that touches it near the inputs where the sum
is thought to be largest. A parabola of a pre-activation is one more quadratic form of the inputs but for what the
pre-activation has beside its linear part, and joins the first layer's form: all are bounded together.
docs/certificates.md derives it.
"""

from dataclasses import dataclass

from chainzrule.training.bounds.box import TINY, Box, Layer, largest_eigenvalue, quadratic
from chainzrule.training.bounds.relaxation import DOUBLE, parabola, value_at
from chainzrule.training.onnxwriter import Value, total

SHARE = 3.0  # k is this times drift / (drift + radius); on the digits 4.5 is as tight, and 2 loses 0.01


@dataclass(frozen=True)
class Line:
    """A later layer's values between two parallel lines: slope (W h + b) + low <= p(z) <= slope (W h + b) + high.

    Each is (batch, width), but for `slopes`. Pre-activations, with float32's error, are within `radius` of `middle`,
    and within `drift` of `centre` + `slopes` d, the part that is linear in the inputs (see `Span`).

    Attributes:
        layer: the layer.
        slope: the chord's.
        low: of the lower line; has room for float32's error.
        high: of the upper line.
        size: no partial sum is larger.
        middle: of the pre-activations.
        radius: of the pre-activations.
        expanded: Taylor coefficients of the polynomials about the middle.
        slopes: (batch, width, first width).
        centre: of the pre-activations less their linear part.
        drift: how far they may be from the centre.
        steepest: no part of a slope of the polynomials is larger.
        reach: no part of W h + b is larger.
        error: float32's, of pre-activations.
        rounding: float32's, of polynomials.
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


def through_parabolas(rows: Value, points: Value, box: Box, lines: list[Line], squarings: int) -> Value:
    """(batch, m) upper bound of `rows` (batch or 1, m, width) times the values after the last of `lines`.

    Any `points` (batch, m, D), inputs in units of the box, are sound.
    """
    values, sizes, slants, forms, largest = [], [], [], [], []
    whole = abs(rows)  # no part of a row is larger
    for line, point in zip(reversed(lines), reversed(_passed(points, box, lines)), strict=True):
        constant, slope, bend = parabola(line.expanded, rows, point, line.radius.at(1))
        values.append(constant.sum(2) + abs(rows).times(line.rounding) + abs(slope).times(line.error))
        values.append(slope @ line.layer.bias - slope.times(line.middle))
        sizes.append(2.0 * whole.times(line.size + line.steepest * (line.reach + abs(line.middle) + line.radius)))
        whole = 2.0 * (whole * line.steepest.at(1)) @ abs(line.layer.weight)
        # With z = y + q, |q| <= drift: (z - point)^2 <= (1 + k) (y - point)^2 + (1 + 1 / k) drift^2 for any k > 0.
        room = line.radius + line.drift + TINY
        drifted = bend.times(line.drift * (line.drift + (1 / SHARE) * room))
        bend = bend * (1.0 + SHARE * line.drift / room).at(1)
        start = (line.centre - line.middle).at(1) - point
        values.append((bend * start * start).sum(2) + drifted)
        slants.append((2.0 * bend * start) @ line.slopes)
        longest = abs(start) + abs(line.slopes).times(box.away).at(1)
        sizes.append((bend * longest * longest).sum(2) + drifted)
        forms.append(_form(bend, line.slopes))
        largest.append(_form(bend, abs(line.slopes)))
        rows = slope @ line.layer.weight
    linear = ((rows * box.expanded[1].at(1) + total(slants)) @ box.layer.weight) * box.radius.at(1)
    bend = (rows * box.bend.at(1) + abs(rows) * box.spread.at(1)).at(3) * rows.writer.eye(box.layer.width)
    form, parts = total([bend, *forms]), total([abs(bend), *largest]) @ abs(box.gram).at(1)
    curvature = largest_eigenvalue(form @ box.gram.at(1), (parts * parts).sum(2, 3), squarings)
    most, _ = quadratic(linear, form.each, curvature, box)
    slack = DOUBLE * total([whole.times(box.size), curvature * box.share.sum(1).at(1), *sizes])
    return total([rows.times(box.expanded[0]), most, *values, abs(rows).times(box.error), slack])


def _form(bend: Value, slopes: Value) -> Value:
    """(batch, m, n, n) sums of bend_j slopes_j slopes_j^T, for (batch, m, width) and (batch, width, n)."""
    return (slopes.transposed(3).at(1) * bend.at(2)) @ slopes.at(1)


def _passed(points: Value, box: Box, lines: list[Line]) -> list[Value]:
    """(batch, m, width) where `points` lie about the middle of each later layer's pre-activations."""
    moved = (points * box.radius.at(1)) @ box.layer.weight.transposed(2)
    values = value_at([each.at(1) for each in box.expanded], moved)
    passed = []
    for line in lines:
        radius = line.radius.at(1)
        moved = (values @ line.layer.weight.transposed(2) + line.layer.bias - line.middle.at(1)).most(-radius)
        passed.append(moved.least(radius))
        values = value_at([each.at(1) for each in line.expanded], passed[-1])
    return passed
