"""Bounds one polynomial over an interval: its Taylor expansion about the middle, chord, and bounding parabola.

All formulas are elementwise over neurons and in closed form, because they are written into a graph.
"""

from collections.abc import Sequence
from math import comb

from chainzrule.training.onnxwriter import Value

DOUBLE = 2.0**-32  # float64's relative rounding error after as many operations in a row as 2^20 inputs and neurons need
UNIT = 2.0**-24  # the relative rounding error of one float32 operation (its unit roundoff)
LARGEST = 2.0**127  # larger values may overflow float32, in an intermediate result if not in the last
CUBIC = 3  # the highest degree whose extremes over an interval are computed exactly


def taylor(coefficients: Sequence[Value], middle: Value) -> list[Value]:
    """Returns a_0 to a_n of p(middle + d) = sum_k a_k d^k, for p(z) = c_1 z + ... + c_n z^n (`coefficients`)."""
    n = len(coefficients)
    expanded = []
    for power in range(n + 1):
        first = max(power, 1)
        value = comb(n, power) * coefficients[n - 1]
        for k in range(n - 1, first - 1, -1):
            value = value * middle + comb(k, power) * coefficients[k - 1]
        if power == 0:  # p has no constant: it is z q(z)
            value = value * middle
        elif power == n:
            value = value + 0.0 * middle  # broadcasts the constant to the batch
        expanded.append(value)
    return expanded


def chord(expanded: Sequence[Value], radius: Value) -> Value:
    """Returns the slope of the chord from middle - radius to middle + radius, or of the tangent where radius is 0."""
    slope, square = expanded[1], radius * radius
    power = square
    for k in range(3, len(expanded), 2):
        slope = slope + expanded[k] * power
        power = power * square
    return slope


def stray(expanded: Sequence[Value], slope: Value, radius: Value) -> tuple[Value, Value]:
    """Returns the lower and upper bound of p(middle + d) - slope d over |d| <= radius.

    The cubic part has its extremes at an end or where its derivative, a quadratic, is 0. What degrees 4 and 5 add is
    bounded separately: d^4 (a_4 + a_5 d) lies between 0 and radius^4 times the extremes of the bracket.
    """
    cubic = [expanded[0], expanded[1] - slope, *expanded[2 : CUBIC + 1]]
    points = [radius, -radius]
    if len(cubic) == CUBIC:
        curvature = 2.0 * cubic[2]
        points.append(_within((-cubic[1]).divide_no_nan(curvature), radius))
    elif len(cubic) == CUBIC + 1:
        steep, bend, thrice = cubic[1], cubic[2], 3.0 * cubic[3]
        # Where the derivative has no real root, these are other points of the interval, which do no harm.
        root = (bend * bend - thrice * steep).relu().sqrt()
        positive = root - bend
        negative = -root - bend
        # The roots are `positive` and `negative` over `thrice`, and also `steep` over `negative` and `positive`. In one
        # of the two numerators digits cancel; the second form gives that root without cancellation.
        for one, other in ((positive, negative), (negative, positive)):
            points += [_within(one.divide_no_nan(thrice), radius), _within(steep.divide_no_nan(other), radius)]
    values = [value_at(cubic, point) for point in points]
    lower, upper = values[0], values[0]
    for value in values[1:]:
        lower, upper = lower.minimum(value), upper.maximum(value)
    if len(expanded) > CUBIC + 1:
        quartic, fourth = expanded[4], radius * radius * radius * radius
        spread = abs(expanded[5]) * radius if len(expanded) > CUBIC + 2 else 0.0 * radius
        lower = lower - (spread - quartic).relu() * fourth
        upper = upper + (spread + quartic).relu() * fourth
    return lower, upper


def parabola(expanded: Sequence[Value], weights: Value, point: Value, radius: Value) -> tuple[Value, Value, Value]:
    """Returns a, b and c >= 0 such that a + b d + c (d - point)^2 >= weights p(middle + d) over |d| <= radius.

    d^3 <= (radius + 2 t) d^2 - (2 radius + t) t d + radius t^2 for every t, with equality at t and at radius, because
    their difference is (d - radius) (d - t)^2; for -d^3 the mirror image holds. A parabola that opens downwards is
    replaced by its tangent at the point.

    Args:
        expanded: the Taylor coefficients of p about the middle, each (batch, width).
        weights: (batch or 1, m, width) the factors of p in m sums.
        point: (batch, m, width) where the parabola is to be tight.
        radius: (batch, 1, width) half the width of the interval.
    """
    constant, slope, *higher = (weights * coefficient.expand_dims(1) for coefficient in expanded)
    bend = higher[0] if higher else 0.0 * slope
    parts = abs(bend)
    if len(higher) > 1:
        third = abs(higher[1])
        touch = (higher[1].sign() * point).maximum(-0.5 * radius).minimum(0.0)
        constant = constant + third * radius * touch * touch
        slope = slope - higher[1] * (2.0 * radius + touch) * touch
        bend, parts = bend + third * (radius + 2.0 * touch), parts + 2.0 * third * radius
    if len(higher) > 2:
        fourth = higher[2] + abs(higher[3]) * radius if len(higher) > 3 else higher[2]
        fourth, square = fourth.relu(), radius * radius
        bend, parts = bend + fourth * square, parts + fourth * square
    # Adding DOUBLE * parts makes up for what rounding may have taken from c.
    return constant - bend * point * point, slope + 2.0 * bend * point, (bend + DOUBLE * parts).relu()


def bend_spread(expanded: Sequence[Value], radius: Value) -> Value:
    """Returns how far s(d) in p(middle + d) = a_0 + a_1 d + s(d) d^2 may lie from a_2 over |d| <= radius."""
    spread, power = 0.0 * radius, radius
    for higher in expanded[3:]:
        spread = spread + abs(higher) * power
        power = power * radius
    return spread


def magnitude(coefficients: Sequence[Value], size: Value) -> tuple[Value, Value]:
    """Returns value and slope at `size` >= 0 of the polynomial with the coefficients' absolute values.

    They bound every value, slope and partial sum of the polynomial over |z| <= size.
    """
    n = len(coefficients)
    value, slope = abs(coefficients[n - 1]) * size, n * abs(coefficients[n - 1]) + 0.0 * size
    for power in range(n - 1, 0, -1):
        size_of = abs(coefficients[power - 1])
        value, slope = (value + size_of) * size, slope * size + power * size_of
    return value, slope


def _within(point: Value, radius: Value) -> Value:
    return point.maximum(-radius).minimum(radius)


def value_at(coefficients: Sequence[Value], point: Value) -> Value:
    """Returns the value at `point` of the polynomial with these coefficients, lowest power first."""
    *lower, value = coefficients
    while lower:
        value = value * point + lower.pop()
    return value
