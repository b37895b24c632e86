"""Recurrent layers as the steps that they consist of."""

from typing import Any

import numpy as np
import onnx
import pytest

from chainzrule.training.adopt.derivative import derivative_graphs
from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.unrolled import unrolled
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import drawn, model

STEPS, INPUTS, HIDDEN = 3, 2, 4
X = np.random.default_rng(0).normal(size=(5, STEPS * INPUTS)).astype(np.float32)
ONES = np.ones(STEPS * INPUTS)


def recurrent(kind: str, attributes: str = "", ways: int = 1, state: bool = False) -> onnx.ModelProto:
    """A layer over (steps, batch, inputs), whose states of all steps and the last become the scores."""
    gates = 4 if kind == "LSTM" else 3
    more = "linear_before_reset = 1, " if kind == "GRU" else ""
    width = gates * HIDDEN
    constants: dict[str, np.ndarray] = {
        "W": drawn(ways, width, INPUTS), "R": drawn(ways, width, HIDDEN) / 2, "B": drawn(ways, 2 * width),
    }  # fmt: skip
    constants = {name: values.astype(np.float32) for name, values in constants.items()}
    shapes = {"a": (-1, STEPS, INPUTS), "flat": (-1, STEPS * ways * HIDDEN), "ends": (-1, ways * HIDDEN)}
    begin = ""
    if state:
        constants["h0"] = drawn(ways, 1, HIDDEN).astype(np.float32)
        begin = "z = Shape (features) n = Gather <axis = 0> (z, first) w = Concat <axis = 0> (ways, n, hidden) "
        begin += "s = Expand (h0, w) "
        shapes |= {"first": (0,), "ways": (ways,), "hidden": (HIDDEN,)}
    direction = attributes or 'direction = "forward"'
    body = (
        f"{begin}i = Reshape (features, a) t = Transpose <perm = [1, 0, 2]> (i) "
        f"y, last = {kind} <hidden_size = {HIDDEN}, {more}{direction}> (t, W, R, B{', , s' if state else ''}) "
        "p = Transpose <perm = [2, 0, 1, 3]> (y) e = Transpose <perm = [1, 0, 2]> (last) u = Reshape (p, flat) "
        "v = Reshape (e, ends) scores = Concat <axis = 1> (u, v)"
    )
    sizes: dict[str, Any] = {name: np.array(shape, np.int64) for name, shape in shapes.items()}
    S = (STEPS + 1) * ways * HIDDEN
    return model(body, f"float[batch,{STEPS * INPUTS}] features", f"float[batch,{S}] scores", constants | sizes)


LAYERS = [
    ("LSTM", "", 1, False), ("LSTM", 'direction = "reverse"', 1, False),
    ("LSTM", 'direction = "bidirectional"', 2, True),
    ("GRU", "", 1, False), ("GRU", 'direction = "bidirectional"', 2, True),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "attributes", "ways", "state"), LAYERS)
def test_the_steps_give_what_the_layer_gives(kind: str, attributes: str, ways: int, state: bool) -> None:
    graph = recurrent(kind, attributes, ways, state=state)
    found = unrolled(graph, ONES)
    assert kind not in {node.op_type for node in found.graph.node}
    assert kind in {node.op_type for node in graph.graph.node}  # which is left as it was
    np.testing.assert_allclose(opened(found).run(X)["scores"], opened(graph).run(X)["scores"], atol=1e-5)


@pytest.mark.parametrize(("kind", "attributes", "ways", "state"), LAYERS)
def test_their_derivative_is_that_of_differences(kind: str, attributes: str, ways: int, state: bool) -> None:
    graph = recurrent(kind, attributes, ways, state=state)
    _, jacobian = derivative_graphs(graph, ONES, list(graph.graph.output))
    found = opened(jacobian).run(X)["jacobian"]
    run, step = opened(graph), 1e-2
    for column in range(X.shape[1]):
        moved = np.zeros(X.shape[1], np.float32)
        moved[column] = step
        expected = (run.run(X + moved)["scores"] - run.run(X - moved)["scores"]) / (2 * step)
        np.testing.assert_allclose(found[:, :, column], expected, atol=1e-3)


def test_a_graph_without_recurrent_layers_stays() -> None:
    graph = model("scores = Neg (features)", outputs="float[batch,3] scores")
    assert unrolled(graph, np.ones(3)) is graph


def test_other_functions_are_refused() -> None:
    graph = recurrent("LSTM", 'activations = ["Sigmoid", "Relu", "Tanh"]')
    with pytest.raises(AdoptionError, match="LSTM with lengths or other functions has no derivative here"):
        unrolled(graph, ONES)


def test_a_reset_before_the_product_and_long_series_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = recurrent("GRU")
    (layer,) = [node for node in graph.graph.node if node.op_type == "GRU"]
    (linear,) = [item for item in layer.attribute if item.name == "linear_before_reset"]
    linear.i = 0
    with pytest.raises(AdoptionError, match="GRU that resets before its product has no derivative here"):
        unrolled(graph, ONES)
    monkeypatch.setattr("chainzrule.training.adopt.unrolled.MOST_STEPS", STEPS - 1)
    with pytest.raises(AdoptionError, match="LSTM of 3 steps, or with computed weights, has no derivative here"):
        unrolled(recurrent("LSTM"), ONES)
