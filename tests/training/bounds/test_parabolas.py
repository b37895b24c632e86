"""Sums carried back through parabolas: no point escapes, whatever the parabolas touch, and little is given away."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from chainzrule.training.bounds.box import Box, Layer, column_norms, enter
from chainzrule.training.bounds.parabolas import Line, through_parabolas
from chainzrule.training.onnxwriter import GraphWriter, Value
from tests.training.bounds.graphs import computed, wave

Floats = NDArray[np.float64]
D, SIZES = 3, (4, 5, 3)


@dataclass
class Plain:
    """A layer's numbers."""

    weight: Floats
    bias: Floats
    coefficients: Floats  # (degree, width)

    def polynomials(self) -> list[Polynomial]:
        return [Polynomial([0.0, *column]) for column in self.coefficients.T]

    def values(self, z: Floats) -> Floats:
        return np.stack([p(column) for p, column in zip(self.polynomials(), z.T, strict=True)], axis=1)

    def written(self, writer: GraphWriter) -> Layer:
        constants = [writer.constant(row) for row in self.coefficients]
        return Layer(writer.constant(self.weight), writer.constant(self.bias), constants, *self.weight.shape)


class Network:
    """Hidden layers over a box; lines are drawn around what `points` of the box do to them, and to nothing else."""

    def __init__(self, depth: int, degree: int, size: float, seed: int = 0) -> None:
        sizes = (D, *SIZES[: depth + 1])
        self.layers = [
            Plain(
                wave(rows, columns, start=seed + rows),
                wave(rows, start=seed + 2),
                wave(degree, rows, start=seed + 3) / np.array([1.0, 3.0, 9.0, 27.0, 81.0])[:degree, None],
            )
            for columns, rows in itertools.pairwise(sizes)
        ]
        self.centre, self.radius = wave(1, D, start=seed + 5), size * (1.5 + wave(1, D, start=seed + 7))
        random = np.random.default_rng(seed)
        self.e = np.concatenate(
            [random.uniform(-1, 1, (3000, D)), random.choice([-1.0, 1.0], (200, D)), np.zeros((1, D))]
        )
        self.d = (self.e * self.radius) @ self.layers[0].weight.T
        h, self.z = self.centre + self.e * self.radius, []
        for layer in self.layers:
            self.z.append(h @ layer.weight.T + layer.bias)
            h = layer.values(self.z[-1])
        self.last = h

    def line(self, writer: GraphWriter, number: int) -> Line:
        """What is known of a later layer: where its pre-activations are, and how near to a linear function of d."""
        layer, z = self.layers[number], self.z[number]
        low, high = z.min(axis=0), z.max(axis=0)
        middle, radius = (low + high) / 2, (high - low) / 2
        # Any slopes would do; those of least squares leave the least drift.
        slopes = np.linalg.lstsq(self.d, z - z.mean(axis=0), rcond=None)[0].T
        rest = z - self.d @ slopes.T
        expanded = [p(Polynomial([at, 1.0])).coef for p, at in zip(layer.polynomials(), middle, strict=True)]
        zero = writer.constant(np.zeros((1, len(middle))))
        facts = {
            "middle": middle, "radius": radius, "centre": (rest.min(axis=0) + rest.max(axis=0)) / 2,
            "drift": (rest.max(axis=0) - rest.min(axis=0)) / 2,
        }  # fmt: skip
        return Line(
            layer=layer.written(writer), slope=zero, low=zero, high=zero, size=zero, steepest=zero, reach=zero,
            error=zero, rounding=zero, expanded=[writer.constant(np.array([row])) for row in np.array(expanded).T],
            slopes=writer.constant(slopes[None]), **{name: writer.constant(each[None]) for name, each in facts.items()},
        )  # fmt: skip

    def bound(self, rows: Floats, points: Floats, squarings: int = 2) -> Floats:
        """(m,) for (m, width) rows."""

        def formula(writer: GraphWriter) -> dict[str, Value]:
            low, high = writer.input("low", "double", D), writer.input("high", "double", D)
            norms = writer.constant(column_norms(self.layers[0].weight))
            box: Box = enter(self.layers[0].written(writer), low, high, writer.constant(np.zeros(D)), norms)
            lines = [self.line(writer, number) for number in range(1, len(self.layers))]
            through = (writer.constant(rows[None]), writer.constant(points[None]))
            return {"bound": through_parabolas(*through, box, lines, squarings)}

        return computed(formula, low=self.centre - self.radius, high=self.centre + self.radius)["bound"]

    def reached(self, rows: Floats) -> Floats:
        return (self.last @ rows.T).max(axis=0)

    def best(self, rows: Floats) -> Floats:
        """(m, D) the points that reach the most."""
        return self.e[(self.last @ rows.T).argmax(axis=0)]


def rows_for(network: Network) -> Floats:
    return wave(6, network.last.shape[1], start=11)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("size", [1e-3, 0.1, 0.6])
def test_no_point_escapes_wherever_the_parabolas_touch(depth: int, degree: int, size: float) -> None:
    network = Network(depth, degree, size)
    rows = rows_for(network)
    for points, squarings in ((network.best(rows), 2), (wave(6, D, start=3), 0)):
        assert (network.bound(rows, points, squarings) >= network.reached(rows) - 1e-9).all()


@pytest.mark.parametrize("degree", [2, 3, 5])
@pytest.mark.parametrize("depth", [1, 2])
def test_what_is_given_away_shrinks_with_the_boxs_square(depth: int, degree: int) -> None:
    given_away = []
    for size in (0.1, 0.01, 0.001):
        network = Network(depth, degree, size)
        rows = rows_for(network)
        given_away.append(network.bound(rows, network.best(rows)) - network.reached(rows))
    # In the smallest box, drawn points come within a thousandth of its edge.
    assert (given_away[1] <= 0.03 * given_away[0] + 1e-5).all()
    assert (given_away[2] <= 0.03 * given_away[1] + 1e-5).all()


def test_a_parabola_through_a_parabola_gives_nothing_away() -> None:
    """With one input and one neuron each, the first straight: where the parabola opens, the exact maximum."""
    network = Network.__new__(Network)
    network.layers = [
        Plain(np.array([[0.7]]), np.array([0.2]), np.array([[1.3]])),
        Plain(np.array([[1.1]]), np.array([-0.3]), np.array([[0.4], [0.9]])),
    ]
    network.centre, network.radius = np.array([[0.3]]), np.array([[0.8]])
    network.e = np.linspace(-1, 1, 2001)[:, None]
    network.d = network.e * network.radius * 0.7
    first = network.layers[0].values((network.centre + network.e * network.radius) * 0.7 + 0.2)
    network.z = [first, 1.1 * first - 0.3]
    network.last = network.layers[1].values(network.z[1])

    def bound(row: float) -> float:
        def formula(writer: GraphWriter) -> dict[str, Value]:
            low, high = writer.input("low", "double", 1), writer.input("high", "double", 1)
            norms = writer.constant(np.array([0.7]))
            box = enter(network.layers[0].written(writer), low, high, writer.constant(np.zeros(1)), norms)
            rows, points = (writer.constant(np.array([[[number]]])) for number in (row, 1.0))
            return {"bound": through_parabolas(rows, points, box, [network.line(writer, 1)], 2)}

        return float(computed(formula, low=np.array([[-0.5]]), high=np.array([[1.1]]))["bound"][0])

    assert bound(2.0) == pytest.approx(2.0 * network.last.max(), rel=1e-4)
    # One that opens downwards gives way to its tangent where it is touched: at the upper end.
    z = network.z[1][-1, 0]
    tangent = network.last[-1, 0] + (0.4 + 1.8 * z) * (network.z[1] - z)
    assert bound(-2.0) == pytest.approx(-2.0 * tangent.min(), rel=1e-4)


@pytest.mark.parametrize(
    ("depth", "degree", "expected"),
    [
        (1, 3, [-0.264262483757, 1.62714679138, -0.948554341737, 1.79019255845, -0.515296975708, 0.922940015652]),
        (2, 2, [0.0159972149855, 0.59298681099, 0.00528231217099, 0.0723708398479, 0.645716024821, -0.0834869242679]),
        (2, 5, [1.17050702535, 14.9414402619, 1.36611073689, 1.42202524481, 14.1472207831, 0.779150096461]),
    ],
)
def test_bounds_are_as_tight_as_they_were(depth: int, degree: int, expected: list[float]) -> None:
    network = Network(depth, degree, 0.3)
    found = network.bound(rows_for(network), wave(6, D, start=3))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
