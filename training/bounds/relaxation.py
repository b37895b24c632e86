"""One polynomial over an interval: its Taylor coefficients about the middle, and how far it strays from a line.

Elementwise over neurons and in closed form: these formulas are part of a graph.
"""

from collections.abc import Sequence
from math import comb

from chainzrule.training.onnxwriter import Value

DOUBLE = 2.0**-32  # float64's rounding, after as many operations as a graph of 2^20 inputs and neurons has in a row
CUBIC = 3  # up to this degree a polynomial's extremes are found exactly


def taylor(coefficients: Sequence[Value], middle: Value) -> list[Value]:
    """The a_0 to a_n of p(middle + d) = sum_k a_k d^k, for p(z) = c_1 z + ... + c_n z^n (`coefficients`)."""
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
            value = value + 0.0 * middle  # as many rows as the others
        expanded.append(value)
    return expanded


def chord(expanded: Sequence[Value], radius: Value) -> Value:
    """Slope of the line through the polynomial's ends at -radius and +radius; the tangent's where both are one."""
    slope, square = expanded[1], radius * radius
    power = square
    for k in range(3, len(expanded), 2):
        slope = slope + expanded[k] * power
        power = power * square
    return slope


def stray(expanded: Sequence[Value], slope: Value, radius: Value) -> tuple[Value, Value]:
    """Least and largest value of p(middle + d) - slope d over |d| <= radius.

    The cubic part takes them at an end or where its derivative, a quadratic, is 0. What degrees 4 and 5 add is bounded
    apart: d^4 (a_4 + a_5 d) lies between 0 and radius^4 times the extremes of the bracket.
    """
    cubic = [expanded[0], expanded[1] - slope, *expanded[2 : CUBIC + 1]]
    points = [radius, -radius]
    if len(cubic) == CUBIC:
        points.append(_within((2.0 * cubic[2]).where_not_zero(-cubic[1]), radius))
    elif len(cubic) == CUBIC + 1:
        steep, bend, thrice = cubic[1], cubic[2], 3.0 * cubic[3]
        # Where the derivative has no root, any points of the interval do no harm.
        root = (bend * bend - thrice * steep).relu().sqrt()
        positive = (
            root - bend
        )  # the roots are this over `thrice`, and `negative` over `thrice`; or `steep` over either,
        negative = -root - bend  # which is how the one that cancels is found without cancelling
        for one, other in ((positive, negative), (negative, positive)):
            points += [_within(thrice.where_not_zero(one), radius), _within(other.where_not_zero(steep), radius)]
    values = [value_at(cubic, point) for point in points]
    least, most = values[0], values[0]
    for value in values[1:]:
        least, most = least.least(value), most.most(value)
    if len(expanded) > CUBIC + 1:
        quartic, fourth = expanded[4], radius * radius * radius * radius
        spread = abs(expanded[5]) * radius if len(expanded) > CUBIC + 2 else 0.0 * radius
        least = least - (spread - quartic).relu() * fourth
        most = most + (spread + quartic).relu() * fourth
    return least, most


def parabola(expanded: Sequence[Value], weight: Value, point: Value, radius: Value) -> tuple[Value, Value, Value]:
    """The a, b and c >= 0 of a + b d + c (d - point)^2 >= weight p(middle + d) over |d| <= radius, of m rows at once.

    d^3 <= (radius + 2 t) d^2 - (2 radius + t) t d + radius t^2 for every t, with equality at t and at radius, because
    their difference is (d - radius) (d - t)^2; -d^3 likewise, mirrored. A parabola that opens downwards gives way to
    its tangent at the point.

    Args:
        expanded: each (batch, width).
        weight: (batch or 1, m, width).
        point: (batch, m, width).
        radius: (batch, 1, width).
    """
    constant, slope, *higher = (weight * coefficient.at(1) for coefficient in expanded)
    bend = higher[0] if higher else 0.0 * slope
    parts = abs(bend)
    if len(higher) > 1:
        third = abs(higher[1])
        touch = (higher[1].sign() * point).most(-0.5 * radius).least(0.0)
        constant = constant + third * radius * touch * touch
        slope = slope - higher[1] * (2.0 * radius + touch) * touch
        bend, parts = bend + third * (radius + 2.0 * touch), parts + 2.0 * third * radius
    if len(higher) > 2:
        fourth = higher[2] + abs(higher[3]) * radius if len(higher) > 3 else higher[2]
        fourth, square = fourth.relu(), radius * radius
        bend, parts = bend + fourth * square, parts + fourth * square
    # What rounding may take from c is given back.
    return constant - bend * point * point, slope + 2.0 * bend * point, (bend + DOUBLE * parts).relu()


def bend_spread(expanded: Sequence[Value], radius: Value) -> Value:
    """How far s(d), of p(middle + d) = a_0 + a_1 d + s(d) d^2, lies from its middle a_2 over |d| <= radius."""
    spread, power = 0.0 * radius, radius
    for higher in expanded[3:]:
        spread = spread + abs(higher) * power
        power = power * radius
    return spread


def magnitude(coefficients: Sequence[Value], size: Value) -> tuple[Value, Value]:
    """Value and slope at `size` >= 0 of the polynomial with the coefficients' absolute values.

    No value, slope or partial sum of the polynomial is larger where |z| <= size.
    """
    n = len(coefficients)
    value, slope = abs(coefficients[n - 1]) * size, n * abs(coefficients[n - 1]) + 0.0 * size
    for power in range(n - 1, 0, -1):
        size_of = abs(coefficients[power - 1])
        value, slope = (value + size_of) * size, slope * size + power * size_of
    return value, slope


def _within(point: Value, radius: Value) -> Value:
    return point.most(-radius).least(radius)


def value_at(coefficients: Sequence[Value], point: Value) -> Value:
    """The polynomial with these coefficients, from that of the power 0 on."""
    *lower, value = coefficients
    while lower:
        value = value * point + lower.pop()
    return value
