"""Polynomials stay on the side of lines and parabolas that the bounds rely on; run as graphs, as they are in one."""

import numpy as np
import pytest

from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.training.bounds.relaxation import chord, parabola, stray, taylor
from chainzrule.training.export.onnx import OPSET
from chainzrule.training.onnxwriter import GraphWriter

WIDTH, ROWS, STEPS = 40, 6, 401


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_a_polynomial_stays_between_its_lines_and_below_its_parabolas(degree: int) -> None:
    random = np.random.default_rng(degree)
    coefficients = random.normal(size=(degree, WIDTH))
    middle, radius = random.normal(size=(1, WIDTH)), random.uniform(0.0, 2.0, size=(1, WIDTH))
    weight = random.normal(size=(1, ROWS, WIDTH))
    point = radius * random.uniform(-1, 1, size=(1, ROWS, WIDTH))
    point[:, :2] = [[0.0], [1.0]] * radius
    writer = GraphWriter(OPSET)
    expanded = taylor([writer.constant(row) for row in coefficients], writer.input("middle", "double", WIDTH))
    reach = writer.constant(radius)
    slope = chord(expanded, reach)
    least, most = stray(expanded, slope, reach)
    parts = parabola(expanded, writer.constant(weight), writer.constant(point), reach.at(1))
    outputs = [("slope", slope, (WIDTH,)), ("least", least, (WIDTH,)), ("most", most, (WIDTH,))]
    outputs += [(f"part_{number}", part.sum(0), (WIDTH,)) for number, part in enumerate(parts)]
    content = writer.finish(outputs)
    found = Graph(content, "a.onnx", Execution("cpu", threads=1)).compute(middle=middle)

    steps = radius[0] * np.linspace(-1, 1, STEPS)[:, None]
    values = sum(c * (middle[0] + steps) ** (power + 1) for power, c in enumerate(coefficients))
    rest = values - found["slope"] * steps
    assert (rest >= found["least"] - 1e-9).all()
    assert (rest <= found["most"] + 1e-9).all()
    constant, slant, bend = (found[f"part_{number}"][:, None] for number in range(3))
    above = constant + slant * steps + bend * (steps - point[0][:, None]) ** 2 - weight[0][:, None] * values
    assert (bend >= 0).all()
    assert (above >= -1e-9).all()
