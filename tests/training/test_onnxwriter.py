"""Formulas that become graphs, whole ones and parts of others'."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.training.adopt.graph import opened
from chainzrule.training.onnxwriter import GraphWriter, NodeWriter, Number, Value, total
from tests.training.adopt.graphs import model

OPSET = 20
TYPES = {"double": np.float64, "float": np.float32}
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


def run(content: bytes, **inputs: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


def nodes_of(content: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


def constants_of(content: bytes) -> dict[str, np.ndarray]:
    return {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load_from_string(content).graph.initializer}


def test_equal_constants_are_kept_once_under_the_firsts_name() -> None:
    writer = GraphWriter(OPSET, "float")
    x, values = writer.input("x", "float", 2), np.array([1.0, 2.0], np.float32)
    first, again = writer.constant(values, "weight"), writer.constant(values.copy(), "other")
    assert (first.name, again.name, writer.constant(values).name) == ("weight", "weight", "weight")
    content = writer.finish([("y", x * first + again, (2,))])
    assert list(constants_of(content)) == ["weight"]
    (found,) = run(content, x=np.array([[3.0, 4.0]], np.float32))
    assert found.tolist() == [[4.0, 10.0]]


def test_constants_that_differ_in_shape_kind_or_a_value_are_apart() -> None:
    writer = GraphWriter(OPSET, "float")
    alike = [np.zeros(2, np.float32), np.zeros((2, 1), np.float32), np.zeros(1, np.int64), -np.zeros(2, np.float32)]
    assert len({writer.constant(values).name for values in alike}) == len(alike)


def test_a_constant_without_a_name_is_called_by_its_content() -> None:
    one, other = (GraphWriter(OPSET, "float").constant(np.ones(3, np.float32)).name for _ in range(2))
    assert one == other
    assert one.startswith("constant_")


@pytest.mark.parametrize("number", ["double", "float"])
def test_numbers_are_of_the_graphs_kind(number: Number) -> None:
    writer = GraphWriter(OPSET, number)
    x = writer.input("x", number, 2)
    content = writer.finish([("y", 2.0 * x - 0.1, (2,))])
    graph = onnx.load_from_string(content).graph
    kind = {"double": onnx.TensorProto.DOUBLE, "float": onnx.TensorProto.FLOAT}[number]
    assert [one.type.tensor_type.elem_type for one in (*graph.input, *graph.output)] == [kind, kind]
    assert {array.dtype for array in constants_of(content).values()} == {np.dtype(TYPES[number])}
    (found,) = run(content, x=np.array([[1.0, 0.3]], TYPES[number]))
    assert found.dtype == TYPES[number]
    np.testing.assert_allclose(found, [[1.9, 0.5]], rtol=1e-15 if number == "double" else 1e-6)


def test_float32_is_not_cast_in_a_file_of_float32() -> None:
    writer = GraphWriter(OPSET, "float")
    x = writer.input("x", "float", 2)
    assert nodes_of(writer.finish([("y", x + writer.constant(np.ones(2, np.float32)), (2,))])) == ["Add"]


def test_an_output_is_named_without_an_operator_and_may_be_used_further() -> None:
    writer = GraphWriter(OPSET)
    x = writer.input("x", "double", 2)
    twice = x + x
    content = writer.finish([("twice", twice, (2,)), ("square", twice * twice, (2,))])
    assert nodes_of(content) == ["Add", "Mul"]
    graph = onnx.load_from_string(content).graph
    assert [list(node.output) for node in graph.node] == [["twice"], ["square"]]
    assert list(graph.node[1].input) == ["twice", "twice"]
    found = run(content, x=np.array([[1.0, 3.0]]))
    assert [one.tolist() for one in found] == [[[2.0, 6.0]], [[4.0, 36.0]]]


def test_inputs_constants_and_second_names_are_outputs_by_an_identity() -> None:
    writer = GraphWriter(OPSET)
    x = writer.input("x", "double", 2)
    twice, fixed = x + x, writer.constant(np.array([[5.0, 6.0]]))
    outputs = [("same", x), ("twice", twice), ("again", twice), ("fixed", fixed)]
    content = writer.finish([(name, value, (2,)) for name, value in outputs])
    assert nodes_of(content).count("Identity") == 3
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["x"]
    assert [one.name for one in session.get_outputs()] == ["same", "twice", "again", "fixed"]
    found = run(content, x=np.array([[1.0, 3.0]]))
    assert [one.tolist() for one in found] == [[[1.0, 3.0]], [[2.0, 6.0]], [[2.0, 6.0]], [[5.0, 6.0]]]


def test_inputs_are_batches_of_their_kind_and_shape() -> None:
    writer = GraphWriter(OPSET)
    x, index = writer.input("x", "double", 3), writer.input("index", "int64")
    content = writer.finish([("picked", x.take_along_axis(index), (1,))])
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [(one.type, one.shape) for one in session.get_inputs()] == [
        ("tensor(double)", ["batch", 3]),
        ("tensor(int64)", ["batch"]),
    ]
    (found,) = run(content, x=np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), index=np.array([2, 0]))
    assert found.tolist() == [[3.0], [4.0]]


def test_a_graph_that_is_none_is_refused() -> None:
    writer = GraphWriter(OPSET)
    x = writer.input("x", "double", 2)
    with pytest.raises(Exception, match="NoSuchOperator"):
        writer.finish([("y", writer.node("NoSuchOperator", x), (2,))])


def test_the_same_formulas_give_the_same_bytes() -> None:
    def written() -> bytes:
        writer = GraphWriter(OPSET)
        x = writer.input("x", "double", 2)
        return writer.finish([("y", (x * 3.0 + writer.eye(2).sum(0)).relu(), (2,))])

    assert written() == written()


ROW, OTHER = np.array([[1.5, -2.0, 0.0, 4.0]]), np.array([[0.5, 4.0, -1.0, 2.0]])
FORMULAS: dict[str, tuple[Callable[[Value, Value], Value], np.ndarray]] = {
    "add": (lambda x, y: x + y, ROW + OTHER),
    "from the right": (lambda x, y: 1.0 + x, 1.0 + ROW),
    "sub": (lambda x, y: x - y, ROW - OTHER),
    "sub from": (lambda x, y: 1.0 - x, 1.0 - ROW),
    "mul": (lambda x, y: x * y, ROW * OTHER),
    "mul from the right": (lambda x, y: 3.0 * x, 3.0 * ROW),
    "div": (lambda x, y: x / y, ROW / OTHER),
    "neg": (lambda x, y: -x, -ROW),
    "abs": (lambda x, y: abs(x), np.abs(ROW)),
    "relu": (lambda x, y: x.relu(), np.maximum(ROW, 0)),
    "sign": (lambda x, y: x.sign(), np.sign(ROW)),
    "sqrt": (lambda x, y: abs(x).sqrt(), np.sqrt(np.abs(ROW))),
    "maximum": (lambda x, y: x.maximum(y), np.maximum(ROW, OTHER)),
    "minimum": (lambda x, y: x.minimum(0.25), np.minimum(ROW, 0.25)),
    "total": (lambda x, y: total([x, y, x]), 2 * ROW + OTHER),
    "divide no nan": (lambda x, y: y.divide_no_nan(x), np.array([[1 / 3, -2.0, 0.0, 0.5]])),
    "infinite above": (lambda x, y: x.infinite_above(1.5), np.array([[1.5, -2.0, 0.0, np.inf]])),
    "outer and sum": (lambda x, y: (x.expand_dims(2) * y.expand_dims(1)).sum(2), ROW * OTHER.sum()),
    "matrix times vector": (lambda x, y: (x.expand_dims(2) * y.expand_dims(1)).matvec(x), OTHER @ ROW[0] * ROW),
    "matrix transpose": (
        lambda x, y: (x.expand_dims(2) * y.expand_dims(1)).matrix_transpose(3).sum(2),
        OTHER * ROW.sum(),
    ),
    "split and concatenate": (lambda x, y: x.split(2)[1].concatenate(x.split(2)[0]), np.roll(ROW, 2)),
}


@pytest.mark.parametrize("number", ["double", "float"])
@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_is_numpys(formula: str, number: Number) -> None:
    compute, expected = FORMULAS[formula]
    writer = GraphWriter(OPSET, number)
    x, y = writer.input("x", number, 4), writer.input("y", number, 4)
    content = writer.finish([("both", x + y, (4,)), ("found", compute(x, y), (4,))])  # both inputs are used
    _, found = run(content, x=ROW.astype(TYPES[number]), y=OTHER.astype(TYPES[number]))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
