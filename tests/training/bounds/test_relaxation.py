"""Polynomials stay on the side of lines and parabolas that the bounds rely on, and as near as theory says."""

import math

import numpy as np
import pytest
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from chainzrule.training.bounds.relaxation import bend_spread, chord, magnitude, parabola, stray, taylor, value_at
from chainzrule.training.onnxwriter import GraphWriter, Value
from tests.training.bounds.graphs import computed

Floats = NDArray[np.float64]
WIDTH, ROWS, STEPS = 40, 6, 2001
DEGREES = [1, 2, 3, 4, 5]


class Case:
    """Polynomials, one a neuron, each about a middle of its own and over an interval of its own."""

    def __init__(self, degree: int) -> None:
        random = np.random.default_rng(degree)
        self.coefficients = random.normal(size=(degree, WIDTH))
        self.middle, self.radius = random.normal(size=(1, WIDTH)), random.uniform(0.0, 2.0, size=(1, WIDTH))
        self.radius[0, 0] = 0.0  # a single point
        self.weight = random.normal(size=(1, ROWS, WIDTH))
        self.point = self.radius * random.uniform(-1, 1, size=(1, ROWS, WIDTH))
        self.point[:, :2] = [[0.0], [1.0]] * self.radius
        self.polynomials = [Polynomial([0.0, *column]) for column in self.coefficients.T]
        self.steps = self.radius[0] * np.linspace(-1, 1, STEPS)[:, None]
        moved = (self.middle[0] + self.steps).T
        self.values = np.stack([p(z) for p, z in zip(self.polynomials, moved, strict=True)], axis=1)
        # (degree + 1, width) Taylor coefficients about the middle.
        about = list(zip(self.polynomials, self.middle[0], strict=True))
        self.derivatives = np.array(
            [[(p.deriv(k) if k else p)(at) / math.factorial(k) for p, at in about] for k in range(degree + 1)]
        )

    def expanded(self, writer: GraphWriter) -> list[Value]:
        return taylor([writer.constant(row) for row in self.coefficients], writer.input("middle", "double", WIDTH))


@pytest.mark.parametrize("degree", DEGREES)
def test_taylor_coefficients_are_the_derivatives_over_the_factorials(degree: int) -> None:
    case = Case(degree)
    found = computed(lambda writer: {str(k): each for k, each in enumerate(case.expanded(writer))}, middle=case.middle)
    for k in range(degree + 1):
        np.testing.assert_allclose(found[str(k)], case.derivatives[k], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("degree", DEGREES)
def test_a_polynomial_strays_from_its_chord_by_no_more_than_is_said(degree: int) -> None:
    case = Case(degree)

    def formula(writer: GraphWriter) -> dict[str, Value]:
        expanded, radius = case.expanded(writer), writer.constant(case.radius)
        slope = chord(expanded, radius)
        least, most = stray(expanded, slope, radius)
        return {"slope": slope, "least": least, "most": most, "spread": bend_spread(expanded, radius)}

    found = computed(formula, middle=case.middle)
    wide = case.radius[0] > 0
    ends = (case.values[-1] - case.values[0])[wide] / (2.0 * case.radius[0][wide])
    np.testing.assert_allclose(found["slope"][wide], ends, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found["slope"][~wide], case.derivatives[1][~wide], rtol=1e-8)
    rest = case.values - found["slope"] * case.steps
    assert (rest >= found["least"] - 1e-9).all()
    assert (rest <= found["most"] + 1e-9).all()
    # Exact up to degree 3. Above, d^4 (a_4 + a_5 d) is bounded by itself, beside the cubic's own extremes.
    low, high, fourth = np.zeros(WIDTH), np.zeros(WIDTH), case.radius[0] ** 4
    if degree > 3:
        spread = np.abs(case.derivatives[5]) * case.radius[0] if degree > 4 else np.zeros(WIDTH)
        low = -np.maximum(spread - case.derivatives[4], 0.0) * fourth
        high = np.maximum(spread + case.derivatives[4], 0.0) * fourth
        rest = rest - sum(case.derivatives[k] * case.steps**k for k in range(4, degree + 1))
    room = 1e-5 * (1.0 + case.radius[0] ** 2 * np.abs(case.derivatives).max(axis=0))  # between two steps
    assert (found["least"] >= rest.min(axis=0) + low - room).all()
    assert (found["most"] <= rest.max(axis=0) + high + room).all()
    expected = sum(
        (np.abs(case.derivatives[k]) * case.radius[0] ** (k - 2) for k in range(3, degree + 1)), np.zeros(WIDTH)
    )
    np.testing.assert_allclose(found["spread"], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("degree", DEGREES)
def test_a_polynomial_lies_below_its_parabolas(degree: int) -> None:
    case = Case(degree)

    def formula(writer: GraphWriter) -> dict[str, Value]:
        radius = writer.constant(case.radius).expand_dims(1)
        parts = parabola(case.expanded(writer), writer.constant(case.weight), writer.constant(case.point), radius)
        return dict(zip("abc", parts, strict=True))

    found = {name: part.reshape(ROWS, WIDTH) for name, part in computed(formula, middle=case.middle).items()}
    d = case.steps[:, None]
    above = found["a"] + found["b"] * d + found["c"] * (d - case.point[0]) ** 2 - case.weight[0] * case.values[:, None]
    assert (found["c"] >= 0).all()
    assert (above >= -1e-9).all()

    def gap(at: Floats) -> Floats:
        """(rows, width) how far each parabola lies above, at a step of each."""
        moved = np.stack(
            [p(m + each) for p, m, each in zip(case.polynomials, case.middle[0], at.T, strict=True)], axis=1
        )
        return found["a"] + found["b"] * at + found["c"] * (at - case.point[0]) ** 2 - case.weight[0] * moved

    # Where the parabola opens upwards, it touches: to degree 2 at the point; with a cubic part at one end, on the
    # cubic's side, and at the point, or where that lies on the other side, near the middle.
    if degree == 2:
        opens = case.weight[0] * case.derivatives[2] > 0
        np.testing.assert_allclose(gap(case.point[0])[opens], 0.0, atol=1e-6)
        # Else it is the tangent at the point.
        slope = case.derivatives[1] + 2.0 * case.derivatives[2] * case.point[0]
        np.testing.assert_allclose(found["b"][~opens], (case.weight[0] * slope)[~opens], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(gap(case.point[0])[~opens], 0.0, atol=1e-6)
    if degree == 3:
        third = case.weight[0] * case.derivatives[3]
        end = np.sign(third) * case.radius[0]
        touch = np.clip(np.sign(third) * case.point[0], -0.5 * case.radius[0], 0.0) * np.sign(third)
        opens = found["c"] > 1e-6
        np.testing.assert_allclose(gap(end)[opens], 0.0, atol=1e-5)
        np.testing.assert_allclose(gap(touch)[opens], 0.0, atol=1e-5)
    if degree == 1:
        np.testing.assert_allclose(found["b"], case.weight[0] * case.derivatives[1], rtol=1e-9)
        np.testing.assert_allclose(found["c"], 0.0, atol=1e-9)


@pytest.mark.parametrize("degree", DEGREES)
def test_no_value_or_slope_is_larger_than_the_magnitude(degree: int) -> None:
    case = Case(degree)

    def formula(writer: GraphWriter) -> dict[str, Value]:
        value, slope = magnitude([writer.constant(row) for row in case.coefficients], writer.constant(case.radius))
        return {"value": value + writer.input("zero", "double", 1), "slope": slope}

    found = computed(formula, zero=np.zeros((1, 1)))
    sizes = [Polynomial(np.abs(p.coef)) for p in case.polynomials]
    at = case.radius[0]
    np.testing.assert_allclose(found["value"], [p(z) for p, z in zip(sizes, at, strict=True)], rtol=1e-12)
    np.testing.assert_allclose(found["slope"], [p.deriv()(z) for p, z in zip(sizes, at, strict=True)], rtol=1e-12)


def test_a_polynomial_has_its_value_at_a_point() -> None:
    random = np.random.default_rng(0)
    coefficients, at = random.normal(size=(4, WIDTH)), random.normal(size=(1, WIDTH))
    found = computed(
        lambda writer: {
            "value": value_at([writer.constant(row) for row in coefficients], writer.input("at", "double", WIDTH))
        },
        at=at,
    )
    np.testing.assert_allclose(found["value"], np.polynomial.polynomial.polyval(at[0], coefficients, tensor=False))
