"""Graphs written as formulas, run by ONNX Runtime: each operator is numpy's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.training.export.onnx import OPSET
from chainzrule.training.onnxwriter import GraphWriter, Value, total

Floats = NDArray[np.float64]
RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(4, 6)) * 3
X[0, :3] = [0.0, 2.0, -2.0]
Y = RANDOM.normal(size=(4, 6))


def computed(formula: Callable[[Value, Value], Value], width: int = 6) -> Floats:
    """A formula of x and y, both (batch, 6)."""
    writer = GraphWriter(OPSET)
    result = formula(writer.input("x", "double", 6), writer.input("y", "double", 6))
    content = writer.finish([("result", result, width)])
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
    content = writer.finish([("rows", values.rows(index), 3), ("entry", values.rows(index).pick(index), 1)])
    found = Graph(content, "a.onnx", Execution("cpu", threads=1)).compute(index=np.array([2, 0, 1, 2]))
    np.testing.assert_array_equal(found["rows"], expected[[2, 0, 1, 2]])
    np.testing.assert_array_equal(found["entry"][:, 0], [expected[k, k] for k in (2, 0, 1, 2)])


def test_constants_are_kept_once_and_float32_stays_small_in_the_file() -> None:
    writer = GraphWriter(OPSET)
    x = writer.input("x", "double", 6)
    single = RANDOM.normal(size=6).astype(np.float32)
    terms = [writer.constant(single), writer.constant(single.copy()), writer.constant(single.astype(np.float64))]
    content = writer.finish([("result", total([x, *terms]) + 2.0 + 2.0, 6)])
    kept = onnx.load_from_string(content).graph.initializer
    kinds = sorted(onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in kept)
    assert kinds == ["DOUBLE", "DOUBLE", "FLOAT"]  # the 2.0, the float64 and the float32
    found = Graph(content, "a.onnx", Execution("cpu", threads=1)).compute(x=X)["result"]
    np.testing.assert_allclose(found, X + 3.0 * single.astype(np.float64) + 4.0, rtol=1e-14)


def test_the_identity_is_one() -> None:
    writer = GraphWriter(OPSET)
    x = writer.input("x", "double", 6)
    content = writer.finish([("result", (x @ writer.eye(6)), 6)])
    np.testing.assert_array_equal(Graph(content, "a.onnx", Execution("cpu", threads=1)).compute(x=X)["result"], X)


def test_the_same_formulas_are_the_same_bytes_and_a_graph_is_checked() -> None:
    def written(width: int) -> bytes:
        writer = GraphWriter(OPSET)
        return writer.finish([("result", writer.input("x", "double", 6) + 1.0, width)])

    assert written(6) == written(6)
    with pytest.raises(onnx.shape_inference.InferenceError):
        written(5)
