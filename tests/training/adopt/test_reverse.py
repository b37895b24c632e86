"""The way back through a graph: what it adds up, what it passes over, and what it refuses."""

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from chainzrule.training.adopt.graph import copied, opened
from chainzrule.training.adopt.reverse import Reverse
from chainzrule.training.adopt.rules import RULES
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import NodeWriter
from tests.training.adopt.graphs import Constants, model

X = np.array([[0.5, -1.0, 2.0], [0.0, 0.25, -3.0]], np.float32)
EYE = np.eye(3, dtype=np.float32)


def derivative(graph: onnx.ModelProto, seed: NDArray[np.float32] = EYE) -> NDArray[np.float32]:
    """(rows, S, D) by the graph that the way back makes."""
    writer = NodeWriter("back_", "float")
    found = Reverse(graph, writer, graph.graph.output[0].name, seed, np.ones(3)).run(RULES)
    writer.node("Identity", found, output="derivative")
    whole = copied(graph)
    writer.append_to(whole)
    whole.graph.output.append(onnx.helper.make_tensor_value_info("derivative", onnx.TensorProto.FLOAT, None))
    return opened(whole).run(X)["derivative"]


def plain(body: str, constants: Constants | None = None, opset: int = 18) -> onnx.ModelProto:
    return model(body, outputs="float[batch,3] scores", constants=constants, opset=opset)


def test_a_tensor_that_is_used_twice_gets_both_adjoints() -> None:
    found = derivative(plain("a = Mul (features, features) b = Neg (features) scores = Add (a, b)"))
    np.testing.assert_allclose(found, (2 * X - 1)[:, :, None] * EYE, rtol=1e-6)


def test_the_seed_is_the_derivative_that_it_starts_with() -> None:
    seed = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 0.5]], np.float32)
    found = derivative(plain("scores = Mul (features, features)"), seed)
    np.testing.assert_allclose(found, seed * 2 * X[:, None], rtol=1e-6)


def test_what_depends_on_no_feature_needs_no_rule() -> None:
    body = "c = Constant <value = float[3] {1.0, 2.0, 4.0}> () s = Sin (c) scores = Mul (features, s)"
    found = derivative(plain(body))
    np.testing.assert_allclose(found, np.tile(np.diag(np.sin([1.0, 2.0, 4.0])), (2, 1, 1)), rtol=1e-6)


def test_what_the_output_does_not_need_needs_no_rule() -> None:
    found = derivative(plain("unused = Sin (features) scores = Neg (features)"))
    np.testing.assert_array_equal(found, np.tile(-EYE, (2, 1, 1)))


def test_constants_may_be_nodes() -> None:
    body = "w = Constant <value = float[3, 3] {1, 0, 0, 0, 2, 0, 0, 0, 3}> () scores = MatMul (features, w)"
    np.testing.assert_array_equal(derivative(plain(body)), np.tile(np.diag([1.0, 2.0, 3.0]), (2, 1, 1)))


REFUSED: Mapping[str, tuple[onnx.ModelProto, str]] = {
    "no rule": (plain("scores = Sin (features)"), "operator Sin has no derivative here"),
    "another domain's operator": (
        plain("a = ai.onnx.ml.Scaler <offset = [0.0], scale = [2.0]> (features) scores = Neg (a)"),
        "operator Scaler has no derivative here",
    ),
    "a second output": (
        plain("kept, mask = Dropout (features) ones = Cast <to = 1> (mask) scores = Mul (features, ones)"),
        "operator Dropout has no derivative here",
    ),
    "a size that is not known": (
        plain(
            "some = Compress <axis = 1> (features, all) bent = Tanh (some) scores = Reshape (bent, three)",
            {"all": np.ones(3, np.bool_), "three": np.array([-1, 3])},
        ),
        "operator Compress has no derivative here",
    ),
    "no way to the features": (
        plain("scores = MatMul (a, b)", {"a": np.ones((1, 3), np.float32), "b": EYE}),
        "the model's answer does not depend on its input, or only in steps",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_derivative_is_refused_by_name(name: str) -> None:
    graph, said = REFUSED[name]
    with pytest.raises(AdoptionError) as caught:
        derivative(graph)
    assert str(caught.value) == said
