"""The first layer over a box of inputs: what is stated holds, and is as tight as theory says."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from chainzrule.training.bounds.box import Box, Layer, column_norms, enter, largest_eigenvalue, quadratic, span
from chainzrule.training.bounds.relaxation import LARGEST, UNIT
from chainzrule.training.onnxwriter import GraphWriter, Value
from tests.training.bounds.graphs import computed, wave

Floats = NDArray[np.float64]
D, WIDTH = 3, 4
DEGREES = [1, 2, 3, 5]


class Case:
    """A layer and a box, drawn; the layer's constants are float32's."""

    def __init__(self, degree: int, seed: int = 0, width: int = WIDTH, inputs: int = D, size: float = 0.3) -> None:
        random = np.random.default_rng(seed)
        self.weight = random.normal(size=(width, inputs)).astype(np.float32)
        self.bias = random.normal(size=width).astype(np.float32)
        self.coefficients = random.normal(size=(degree, width)).astype(np.float32)
        self.offset = random.normal(size=inputs)
        centre = random.normal(size=(1, inputs)) * 2
        radius = size * random.uniform(0.5, 1.5, size=(1, inputs))
        self.low, self.high = centre - radius, centre + radius
        self.centre, self.radius = centre, radius
        self.norms = column_norms(self.weight.astype(np.float64))
        self.middle = (centre - self.offset) @ self.weight.T.astype(np.float64) + self.bias

    def polynomials(self) -> list[Polynomial]:
        return [Polynomial([0.0, *row.astype(np.float64)]) for row in self.coefficients.T]

    def values(self, x: Floats) -> Floats:
        """(rows, width) the layer's values at (rows, D) inputs, in float64."""
        z = (x - self.offset) @ self.weight.T.astype(np.float64) + self.bias
        return np.stack([p(column) for p, column in zip(self.polynomials(), z.T, strict=True)], axis=1)

    def served(self, x: Floats) -> Floats:
        """The same as float32 computes it, with the offset in the bias, from inputs cast to float32."""
        bias = (self.bias - self.weight.astype(np.float64) @ self.offset).astype(np.float32)
        z = x.astype(np.float32) @ self.weight.T + bias
        value = np.zeros_like(z)
        for row in self.coefficients[::-1]:
            value = (value + row) * z
        return value.astype(np.float64)

    def points(self, count: int = 4000, seed: int = 1) -> Floats:
        random = np.random.default_rng(seed)
        drawn = random.uniform(-1, 1, size=(count, self.low.shape[1]))
        corners = np.array(np.meshgrid(*[[-1.0, 1.0]] * self.low.shape[1])).reshape(self.low.shape[1], -1).T
        return self.centre + self.radius * np.concatenate([drawn, np.round(drawn), corners])

    def box(self, writer: GraphWriter) -> Box:
        layer = Layer(
            writer.constant(self.weight), writer.constant(self.bias),
            [writer.constant(row) for row in self.coefficients], *self.weight.shape,
        )  # fmt: skip
        low, high = (writer.input(name, "double", self.low.shape[1]) for name in ("low", "high"))
        return enter(layer, low, high, writer.constant(self.offset), writer.constant(self.norms))

    def computed(self, formula: Callable[[Box], dict[str, Value]]) -> dict[str, Floats]:
        return computed(lambda writer: formula(self.box(writer)), low=self.low, high=self.high)


@pytest.mark.parametrize("degree", DEGREES)
def test_the_layer_is_expanded_about_the_middle_of_the_box(degree: int) -> None:
    case = Case(degree)
    found = case.computed(
        lambda box: (
            {f"a{k}": each for k, each in enumerate(box.expanded)}
            | {"bend": box.bend, "away": box.away, "radius": box.radius, "share": box.share, "gram": box.gram}
        )
    )
    shifted = [p(Polynomial([z, 1.0])).coef for p, z in zip(case.polynomials(), case.middle[0], strict=True)]
    for k in range(degree + 1):
        np.testing.assert_allclose(found[f"a{k}"], [each[k] for each in shifted], rtol=1e-10, atol=1e-10)
    bend = [each[2] for each in shifted] if degree > 1 else np.zeros(WIDTH)
    np.testing.assert_allclose(found["bend"], bend, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found["away"], case.radius[0] @ np.abs(case.weight).T, rtol=1e-6)
    np.testing.assert_allclose(found["share"], case.radius[0] * case.norms, rtol=1e-6)
    metric = case.weight * case.radius / case.norms
    np.testing.assert_allclose(found["gram"], (metric @ case.weight.T).ravel(), rtol=1e-5)


def test_the_radius_reaches_what_the_cast_to_float32_makes_of_the_ends() -> None:
    case = Case(1)
    found = case.computed(lambda box: {"radius": box.radius})["radius"]
    reached = np.maximum(
        np.abs(case.low.astype(np.float32) - case.centre), np.abs(case.high.astype(np.float32) - case.centre)
    )
    assert (found >= reached).all()
    largest = np.maximum(np.abs(case.low), np.abs(case.high))
    np.testing.assert_allclose(found - case.radius[0], UNIT * largest[0], rtol=0.02)


@pytest.mark.parametrize("degree", DEGREES)
def test_float32_lies_no_further_than_the_error_and_nothing_is_larger_than_the_size(degree: int) -> None:
    case = Case(degree, size=1.0)
    found = case.computed(lambda box: {"error": box.error, "size": box.size})
    x = case.points()
    away = np.abs(case.served(x) - case.values(x)).max(axis=0)
    assert (away <= found["error"]).all()
    # Roundings rarely all go one way: what is stated is some tens of times more than what is seen, not thousands.
    assert (found["error"] <= 100.0 * away + 1e-6).all()
    z = np.abs(case.middle[0]) + case.radius[0] @ np.abs(case.weight).T
    sizes = [Polynomial(np.abs(p.coef))(at) for p, at in zip(case.polynomials(), z, strict=True)]
    np.testing.assert_allclose(found["size"], sizes, rtol=1e-4)
    assert (found["size"] >= sizes).all()


def test_roundings_are_those_of_so_many_operations() -> None:
    layer = Layer(None, None, [None] * 3, 4, 10)  # type: ignore[arg-type, list-item]
    assert layer.rounding() == pytest.approx(13 * UNIT, rel=0.02)
    assert layer.rounding() > 13 * UNIT
    assert layer.polynomial_rounding() == pytest.approx(8 * UNIT, rel=0.02)
    assert layer.polynomial_rounding() > 8 * UNIT


def test_sums_are_bounded_and_infinite_where_float32_may_not_hold_them() -> None:
    weight, bias = np.array([[1.0, -2.0], [0.5, 0.0]], dtype=np.float32), np.array([-1.0, 3.0], dtype=np.float32)
    for size, expected in (
        ([[3.0, 4.0]], [12.0, 4.5]),
        ([[LARGEST / 2, 0.0]], [LARGEST / 2, LARGEST / 4]),
        ([[LARGEST * 1.001, 0.0]], [np.inf, LARGEST * 1.001 / 2]),
    ):
        found = computed(
            lambda writer: {
                "sums": Layer(writer.constant(weight), writer.constant(bias), [], 2, 2).sums(
                    writer.input("size", "double", 2)
                )
            },
            size=np.array(size),
        )
        np.testing.assert_allclose(found["sums"], expected, rtol=1e-12)


@pytest.mark.parametrize("squarings", [0, 2])
@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("size", [1e-3, 0.1, 1.0])
def test_sums_of_neurons_stay_in_their_span(degree: int, squarings: int, size: float) -> None:
    case = Case(degree, seed=degree, size=size)
    rows = np.random.default_rng(7).normal(size=(1, 5, WIDTH))

    def formula(box: Box) -> dict[str, Value]:
        found, whole = span(box.radius.writer.constant(rows), box, squarings)
        names = ("lower", "upper", "remainder_lower", "remainder_upper", "slopes", "points")
        return {name: getattr(found, name) for name in names} | {"size": whole}

    found = case.computed(formula)
    x = case.points()
    sums = case.values(x) @ rows[0].T
    room = 1e-9 * np.abs(sums).max()
    assert (sums >= found["lower"] - room).all()
    assert (sums <= found["upper"] + room).all()
    # Of the sum less its linear part, with d = W (radius e) where the slopes belong to d.
    slopes = np.array([[p.deriv()(z) for p, z in zip(case.polynomials(), case.middle[0], strict=True)]]) * rows[0]
    np.testing.assert_allclose(found["slopes"], slopes.ravel(), rtol=1e-9, atol=1e-12)
    rest = sums - (x - case.centre) @ (slopes @ case.weight).T
    assert (rest >= found["remainder_lower"] - room).all()
    assert (rest <= found["remainder_upper"] + room).all()
    assert (found["size"] >= np.abs(case.values(x)) @ np.abs(rows[0]).T).all()
    # No wider than when every neuron bends alone, and less where that helps.
    linear = np.abs(slopes @ case.weight) @ case.radius[0]
    bend = np.array([p.deriv(2)(z) / 2 for p, z in zip(case.polynomials(), case.middle[0], strict=True)])
    away = case.radius[0] @ np.abs(case.weight).T
    spread = np.zeros(WIDTH)
    for k in range(3, degree + 1):
        higher = [p.deriv(k)(z) / math.factorial(k) for p, z in zip(case.polynomials(), case.middle[0], strict=True)]
        spread += np.abs(higher) * away ** (k - 2)
    middle = rows[0] @ [p(z) for p, z in zip(case.polynomials(), case.middle[0], strict=True)]
    for sign, end in ((1.0, found["upper"] - middle), (-1.0, middle - found["lower"])):
        alone = linear + np.maximum(sign * rows[0] * bend + np.abs(rows[0]) * spread, 0.0) @ away**2
        # A cast to float32 may move an input by a unit of it, wherever the box lies.
        assert (end <= 1.001 * alone + 1e-6 * np.abs(slopes) @ np.abs(case.weight) @ np.ones(D) * 8).all()
    if degree == 1:
        np.testing.assert_allclose(found["upper"] - found["lower"], 2.0 * linear, rtol=1e-3)
        np.testing.assert_allclose(found["remainder_upper"] - found["remainder_lower"], 0.0, atol=1e-7)
    # Where each sum is about largest and least: at the corners that its linear part names, in small boxes.
    if size == 1e-3:
        points = found["points"].reshape(10, D)
        corner = np.sign(slopes @ case.weight)
        np.testing.assert_allclose(points, np.concatenate([corner, -corner]), atol=1e-9)


@pytest.mark.parametrize("squarings", [0, 2])
def test_one_quadratic_neuron_of_one_input_is_spanned_exactly_where_it_opens(squarings: int) -> None:
    for seed in range(8):
        case = Case(2, seed=seed, width=1, inputs=1, size=2.0)
        rows = np.array([[[1.0], [-1.5]]]) * np.sign(case.coefficients[1, 0])

        def formula(box: Box, rows: Floats = rows) -> dict[str, Value]:
            found = span(box.radius.writer.constant(rows), box, squarings)[0]
            return {"upper": found.upper, "lower": found.lower}

        found = case.computed(formula)
        sums = case.values(np.linspace(case.low[0, 0], case.high[0, 0], 20_001)[:, None]) @ rows[0].T
        np.testing.assert_allclose(found["upper"][0], sums[:, 0].max(), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found["lower"][1], sums[:, 1].min(), rtol=1e-5, atol=1e-5)


def test_a_quadratic_form_is_bounded_over_the_cube() -> None:
    case, random = Case(2, seed=3), np.random.default_rng(4)
    linear = random.normal(size=(1, 2, D))
    root = random.normal(size=(2, WIDTH, WIDTH))
    form = root @ root.transpose(0, 2, 1) - 2.0 * np.eye(WIDTH)
    gram = case.weight * case.radius / case.norms @ case.weight.T
    # The form's largest eigenvalue in the ellipsoid's metric.
    curvature = np.array([[np.linalg.eigvals(each @ gram).real.max() for each in form]])

    def formula(box: Box) -> dict[str, Value]:
        writer = box.radius.writer
        matrix = writer.constant(form[None])
        bound, point = quadratic(
            writer.constant(linear), matrix.batched_matvec, writer.constant(curvature * 1.0001), box
        )
        return {"bound": bound, "point": point}

    found = case.computed(formula)
    e = (case.points() - case.centre) / case.radius
    d = (e * case.radius) @ case.weight.T.astype(np.float64)
    reached = (e @ linear[0].T + np.einsum("nw,mwv,nv->nm", d, form, d)).max(axis=0)
    assert (found["bound"] >= reached).all()
    assert (found["bound"] <= 1.4 * reached).all()
    point = found["point"].reshape(2, D)
    assert (np.abs(point) <= 1.0).all()


def test_a_form_of_nothing_leaves_the_linear_part() -> None:
    case = Case(2)
    linear = np.random.default_rng(5).normal(size=(1, 2, D))
    linear[0, 1, 0] = 0.0  # an input that does nothing at all: 0 / 0, but for what is added to it

    def formula(box: Box) -> dict[str, Value]:
        writer = box.radius.writer
        zero = writer.constant(np.zeros((1, 2)))
        bound, point = quadratic(writer.constant(linear), lambda moved: 0.0 * moved, zero, box)
        return {"bound": bound, "point": point}

    found = case.computed(formula)
    np.testing.assert_allclose(found["bound"], np.abs(linear[0]).sum(axis=1), rtol=1e-12)
    np.testing.assert_array_equal(found["point"].reshape(2, D), np.sign(linear[0]))


@pytest.mark.parametrize("squarings", [0, 1, 2, 3])
def test_eigenvalues_are_bounded_from_above_by_powers(squarings: int) -> None:
    random = np.random.default_rng(6)
    symmetric = random.normal(size=(5, 5))
    vector = random.normal(size=5)
    matrices = np.stack([symmetric + symmetric.T, np.outer(vector, vector), np.zeros((5, 5)), -np.eye(5)])
    # Similar, so with the same eigenvalues, but not symmetric: as products with a Gram matrix are.
    change = random.normal(size=(5, 5)) + 3.0 * np.eye(5)
    similar = change @ matrices @ np.linalg.inv(change)
    whole = np.square(similar).sum(axis=(1, 2))

    def formula(writer: GraphWriter) -> dict[str, Value]:
        bound = largest_eigenvalue(writer.constant(similar[None]), writer.constant(whole[None]), squarings)
        return {"bound": bound + writer.input("zero", "double", 1)}

    found = computed(formula, zero=np.zeros((1, 1)))["bound"]
    values = np.abs(np.linalg.eigvalsh(matrices)).max(axis=1)
    power = 2 ** (squarings + 1)
    traces = np.power(np.power(np.linalg.eigvalsh(matrices), power).sum(axis=1), 1.0 / power)
    assert (found >= values).all()
    # What is added for rounding is the square root, at worst, of float64's own.
    np.testing.assert_allclose(found[:2], traces[:2], rtol=1e-3)
    np.testing.assert_allclose(found[2:], traces[2:], rtol=1e-3, atol=1e-4)


def test_no_column_counts_for_nothing() -> None:
    weight = np.array([[3.0, 0.0, 1e-9], [4.0, 0.0, 0.0]])
    np.testing.assert_allclose(column_norms(weight), [5.0, 5e-6, 5e-6])
    assert (column_norms(np.zeros((2, 2))) > 0).all()


def waved(degree: int) -> Case:
    """A case whose numbers no version of a generator can change."""
    case = Case(degree)
    case.weight, case.bias = wave(WIDTH, D).astype(np.float32), wave(WIDTH, start=5).astype(np.float32)
    case.coefficients = wave(degree, WIDTH, start=2).astype(np.float32)
    case.offset, case.norms = wave(D, start=9), column_norms(case.weight.astype(np.float64))
    centre, radius = wave(1, D, start=4), 0.4 * (1.5 + wave(1, D, start=7))
    case.low, case.high = centre - radius, centre + radius
    return case


def spanned(degree: int) -> list[float]:
    def formula(box: Box) -> dict[str, Value]:
        found, whole = span(box.radius.writer.constant(wave(1, 1, WIDTH, start=3)), box, 2)
        names = ("lower", "upper", "remainder_lower", "remainder_upper")
        return {name: getattr(found, name) for name in names} | {"size": whole, "error": box.error}

    found = waved(degree).computed(formula)
    return [
        *(float(found[name][0]) for name in ("lower", "upper", "remainder_lower", "remainder_upper", "size")),
        float(found["error"].sum()),
    ]


@pytest.mark.parametrize(
    ("degree", "expected"),
    [
        (1, [-5.36336797782, -2.83713306774, -4.10025052278, -4.10025052278, 5.49282329921, 5.10269461516e-06]),
        (2, [-20.0167894389, -7.37284809196, -13.8814836696, -12.8370527256, 23.7133148004, 3.16210606478e-05]),
        (3, [-57.7901102167, -12.1090495924, -36.7038082626, -28.4577612229, 88.185128871, 0.000147976273899]),
        (5, [-67.0395044614, 595.552441657, 99.0463189197, 388.888289068, 1805.40554759, 0.00433883356432]),
    ],
)
def test_spans_are_as_tight_as_they_were(degree: int, expected: list[float]) -> None:
    np.testing.assert_allclose(spanned(degree), expected, rtol=1e-9)
