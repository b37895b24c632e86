"""Graphs written as formulas, whole ones and parts of others': each operator is numpy's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.training.adopt.graph import opened
from chainzrule.training.export.onnx import OPSET
from chainzrule.training.onnxwriter import GraphWriter, NodeWriter, Value, total
from tests.training.adopt.graphs import model

Floats = NDArray[np.float64]
RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(4, 6)) * 3
X[0, :3] = [0.0, 2.0, -2.0]
Y = RANDOM.normal(size=(4, 6))


def computed(formula: Callable[[Value, Value], Value], width: int = 6) -> Floats:
    """A formula of x and y, both (batch, 6)."""
    writer = GraphWriter(OPSET)
    result = formula(writer.input("x", "double", 6), writer.input("y", "double", 6))
    content = writer.finish([("result", result, (width,))])
    return Graph(content, "a.onnx", Execution("cpu", threads=1)).compute(x=X, y=Y)["result"]


def table(writer: GraphWriter, *shape: int) -> tuple[Value, Floats]:
    values = np.arange(np.prod(shape), dtype=np.float64).reshape(shape) - 5.0
    return writer.constant(values), values


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (lambda x, y: x + y, X + Y),
        (lambda x, y: x + 2.5, X + 2.5),
        (lambda x, y: 2.5 + x, 2.5 + X),
        (lambda x, y: x - y, X - Y),
        (lambda x, y: x - 2.5, X - 2.5),
        (lambda x, y: 2.5 - x, 2.5 - X),
        (lambda x, y: x * y, X * Y),
        (lambda x, y: 2.5 * x, 2.5 * X),
        (lambda x, y: x / y, X / Y),
        (lambda x, y: x / 4.0, X / 4.0),
        (lambda x, y: -x, -X),
        (lambda x, y: abs(x), np.abs(X)),
        (lambda x, y: x.relu(), np.maximum(X, 0.0)),
        (lambda x, y: x.sign(), np.sign(X)),
        (lambda x, y: abs(x).sqrt(), np.sqrt(np.abs(X))),
        (lambda x, y: x.most(y), np.maximum(X, Y)),
        (lambda x, y: x.most(1.0), np.maximum(X, 1.0)),
        (lambda x, y: x.least(y), np.minimum(X, Y)),
        (lambda x, y: x.least(1.0), np.minimum(X, 1.0)),
        (lambda x, y: x.up_to(2.0), np.where(X > 2.0, np.inf, X)),
        (lambda x, y: x.where_not_zero(y), np.where(X == 0, 0.0, Y / np.where(X == 0, 1.0, X))),
        (lambda x, y: total([x, y, x, y * y]), 2 * X + Y + Y * Y),
        (lambda x, y: total([x]), X),
    ],
)
def test_each_operator_is_numpys(formula: Callable[[Any, Any], Any], expected: Floats) -> None:
    np.testing.assert_allclose(computed(formula), expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (lambda x, y: x.at(1).sum(2), X.sum(axis=1, keepdims=True)),
        (lambda x, y: (x.at(2) * y.at(1)).sum(2), (X[:, :, None] * Y[:, None, :]).sum(axis=2)),
        (lambda x, y: (x.at(2) * y.at(1)).sum(1), (X[:, :, None] * Y[:, None, :]).sum(axis=1)),
        (lambda x, y: (x.at(2, 3) * y.at(1, 2)).sum(2, 3), X * Y.sum(axis=1, keepdims=True)),
        (lambda x, y: (x.at(2) * y.at(1)).transposed(3).sum(1), (X[:, :, None] * Y[:, None, :]).sum(axis=2)),
        (lambda x, y: (x.at(2) * y.at(1)).times(x), X * (X * Y).sum(1, keepdims=True)),
        (lambda x, y: x.beside(y), np.concatenate([X, Y], axis=1)),
        (lambda x, y: x.beside(y).halves()[0], X),
        (lambda x, y: x.beside(y).halves()[1], Y),
        (lambda x, y: (x.at(1) @ y.at(2)).sum(2), (X * Y).sum(axis=1, keepdims=True)),
    ],
)
def test_axes_come_and_go_as_numpys(formula: Callable[[Any, Any], Any], expected: Floats) -> None:
    np.testing.assert_allclose(computed(formula, expected.shape[1]), expected, rtol=1e-13)


def test_matrices_by_vectors_one_for_each_row() -> None:
    matrices = RANDOM.normal(size=(1, 3, 6, 6))

    def formula(x: Value, y: Value) -> Value:
        return x.writer.constant(matrices).each(x.at(1) * x.writer.constant(np.ones((1, 3, 1)))).sum(1)

    np.testing.assert_allclose(computed(formula), np.einsum("mwn,bn->bw", matrices[0], X), rtol=1e-12, atol=1e-12)


def test_rows_and_entries_are_taken_by_their_index() -> None:
    writer = GraphWriter(OPSET)
    index = writer.input("index", "int64")
    values, expected = table(writer, 5, 3)
    content = writer.finish([("rows", values.rows(index), (3,)), ("entry", values.rows(index).pick(index), (1,))])
    found = Graph(content, "a.onnx", Execution("cpu", threads=1)).compute(index=np.array([2, 0, 1, 2]))
    np.testing.assert_array_equal(found["rows"], expected[[2, 0, 1, 2]])
    np.testing.assert_array_equal(found["entry"][:, 0], [expected[k, k] for k in (2, 0, 1, 2)])


def test_constants_are_kept_once_and_float32_stays_small_in_the_file() -> None:
    writer = GraphWriter(OPSET)
    x = writer.input("x", "double", 6)
    single = RANDOM.normal(size=6).astype(np.float32)
    terms = [writer.constant(single), writer.constant(single.copy()), writer.constant(single.astype(np.float64))]
    content = writer.finish([("result", total([x, *terms]) + 2.0 + 2.0, (6,))])
    kept = onnx.load_from_string(content).graph.initializer
    kinds = sorted(onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in kept)
    assert kinds == ["DOUBLE", "DOUBLE", "FLOAT"]  # the 2.0, the float64 and the float32
    found = Graph(content, "a.onnx", Execution("cpu", threads=1)).compute(x=X)["result"]
    np.testing.assert_allclose(found, X + 3.0 * single.astype(np.float64) + 4.0, rtol=1e-14)


def test_the_identity_is_one() -> None:
    writer = GraphWriter(OPSET)
    x = writer.input("x", "double", 6)
    content = writer.finish([("result", (x @ writer.eye(6)), (6,))])
    np.testing.assert_array_equal(Graph(content, "a.onnx", Execution("cpu", threads=1)).compute(x=X)["result"], X)


def test_the_same_formulas_are_the_same_bytes_and_a_graph_is_checked() -> None:
    def written(width: int) -> bytes:
        writer = GraphWriter(OPSET)
        return writer.finish([("result", writer.input("x", "double", 6) + 1.0, (width,))])

    assert written(6) == written(6)
    with pytest.raises(onnx.shape_inference.InferenceError):
        written(5)


THREE = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def extended(writer: NodeWriter, name: str) -> onnx.ModelProto:
    """A graph of three features, whose output is what a writer wrote."""
    graph = model("given = Neg (features)", outputs="float[batch,3] given")
    writer.append_to(graph)
    graph.graph.output.append(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return graph


def test_a_part_goes_on_from_a_graphs_own_tensors() -> None:
    writer = NodeWriter("more_", "float")
    given = writer.value("given")
    bent = (1.0 - given * 2.0) / writer.constant(np.array([1, 2, 4], np.float32))
    writer.node("Identity", abs(bent).reshape(-1, 1, 3), output="bent")
    graph = extended(writer, "bent")
    found = opened(graph).run(THREE)["bent"]
    np.testing.assert_allclose(found, np.abs((1 + 2 * THREE) / [1, 2, 4])[:, None], rtol=1e-6)
    assert all(name.startswith("more_") for node in writer.nodes[:-1] for name in node.output)
    assert all(weight.name.startswith("more_") for weight in graph.graph.initializer)
    assert {weight.data_type for weight in graph.graph.initializer} == {TensorProto.FLOAT, TensorProto.INT64}


def test_equal_constants_are_kept_once_and_of_their_own_type() -> None:
    writer = NodeWriter("", "float")
    ones = np.ones(1, np.float32)
    names = [writer.constant(values).name for values in (ones, ones.copy(), ones.astype(np.float64), np.float32(1.0))]
    assert names[0] == names[1]
    assert len(set(names)) == 3  # an array of one, that in float64, and a number
    assert writer.constant(2 * ones, "two").name == writer.constant(2 * ones).name == "two"
    graph = extended(writer, "given").graph
    assert [weight.data_type for weight in graph.initializer] == [
        TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT, TensorProto.FLOAT,
    ]  # fmt: skip


def test_outputs_have_the_names_that_are_asked_for() -> None:
    writer = NodeWriter("part_", "float")
    first, second = writer.outputs("Split", 2, writer.value("given"), names=["a", "b"], axis=1, num_outputs=2)
    assert (first.name, second.name) == ("a", "b")
    assert writer.node("Neg", first).name == "part_neg_1_0"
    assert writer.node("Neg", first, output="c").name == "c"


def test_numbers_change_their_type() -> None:
    writer = NodeWriter("", "float")
    writer.node("Identity", writer.value("given").cast(TensorProto.INT64).cast(TensorProto.FLOAT), output="whole")
    np.testing.assert_array_equal(opened(extended(writer, "whole")).run(THREE)["whole"], np.trunc(-THREE))


@pytest.mark.parametrize("twice", [False, True])
def test_a_whole_graph_computes_in_float64_with_constants_as_small_as_they_came(twice: bool) -> None:
    writer = GraphWriter(20)
    x = writer.input("x", "double", 3)
    W = np.eye(3, dtype=np.float32) / 3
    product = x @ writer.constant(W)
    if twice:
        product = product + x @ writer.constant(W.copy())
    content = writer.finish([("y", product, (3,))])
    stored = onnx.load_from_string(content).graph
    assert [weight.data_type for weight in stored.initializer] == [TensorProto.FLOAT]
    assert [node.op_type for node in stored.node].count("Cast") == 1
    found = Graph(content, "g", Execution("cpu", threads=1)).compute(x=THREE.astype(np.float64))["y"]
    np.testing.assert_array_equal(found, (1 + twice) * (THREE.astype(np.float64) @ W.astype(np.float64)))


def test_a_whole_graph_may_be_of_float32_and_names_its_outputs_without_a_node_where_it_can() -> None:
    writer = GraphWriter(20, "float")
    x = writer.input("x", "float", 3)
    double = x + x
    content = writer.finish([("y", double, (3,)), ("again", double, (3,)), ("given", x, (3,))])
    stored = onnx.load_from_string(content).graph
    assert [node.op_type for node in stored.node] == ["Add", "Identity", "Identity"]
    session = Graph(content, "g", Execution("cpu", threads=1))
    assert {kind for kind, _ in session.outputs.values()} == {"tensor(float)"}
    found = session.compute(x=THREE)
    np.testing.assert_array_equal(found["y"], 2 * THREE)
    np.testing.assert_array_equal(found["again"], 2 * THREE)
    np.testing.assert_array_equal(found["given"], THREE)
