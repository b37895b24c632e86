"""Formulas that become graphs, whole ones and parts of others'."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.training.adopt.graph import opened
from chainzrule.training.onnxwriter import GraphWriter, NodeWriter
from tests.training.adopt.graphs import model

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


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
    found = opened(graph).run(X)["bent"]
    np.testing.assert_allclose(found, np.abs((1 + 2 * X) / [1, 2, 4])[:, None], rtol=1e-6)
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
    np.testing.assert_array_equal(opened(extended(writer, "whole")).run(X)["whole"], np.trunc(-X))


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
    found = Graph(content, "g", Execution("cpu", threads=1)).compute(x=X.astype(np.float64))["y"]
    np.testing.assert_array_equal(found, (1 + twice) * (X.astype(np.float64) @ W.astype(np.float64)))


def test_a_whole_graph_may_be_of_float32_and_names_its_outputs_without_a_node_where_it_can() -> None:
    writer = GraphWriter(20, "float")
    x = writer.input("x", "float", 3)
    double = x + x
    content = writer.finish([("y", double, (3,)), ("again", double, (3,)), ("given", x, (3,))])
    stored = onnx.load_from_string(content).graph
    assert [node.op_type for node in stored.node] == ["Add", "Identity", "Identity"]
    session = Graph(content, "g", Execution("cpu", threads=1))
    assert {kind for kind, _ in session.outputs.values()} == {"tensor(float)"}
    found = session.compute(x=X)
    np.testing.assert_array_equal(found["y"], 2 * X)
    np.testing.assert_array_equal(found["again"], 2 * X)
    np.testing.assert_array_equal(found["given"], X)
