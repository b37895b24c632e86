"""One polynomial over an interval: its Taylor coefficients about the middle, and how far it strays from a line.

Elementwise over neurons and in closed form: these formulas are part of a graph.
"""

from collections.abc import Sequence
from math import comb

from training.writer import Value

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
    values = [_horner(cubic, point) for point in points]
    least, most = values[0], values[0]
    for value in values[1:]:
        least, most = least.least(value), most.most(value)
    if len(expanded) > CUBIC + 1:
        quartic, fourth = expanded[4], radius * radius * radius * radius
        spread = abs(expanded[5]) * radius if len(expanded) > CUBIC + 2 else 0.0 * radius
        least = least - (spread - quartic).relu() * fourth
        most = most + (spread + quartic).relu() * fourth
    return least, most


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


def _horner(coefficients: Sequence[Value], point: Value) -> Value:
    *lower, value = coefficients
    while lower:
        value = value * point + lower.pop()
    return value
