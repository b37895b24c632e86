import numpy as np
import onnx
import pytest

from chainzrule.service.errors import ArtifactError
from chainzrule.training.adopt.graph import attribute, copied, opened, opset, parameter_count, prune, serialise
from tests.training.adopt.graphs import model

BODY = "a = MatMul (features, W) b = Tanh (a) c = MatMul (features, V) scores = Neg (b)"
CONSTANTS = {"W": np.ones((3, 2), np.float32), "V": np.ones((3, 4), np.float32)}


def test_what_no_output_needs_is_dropped() -> None:
    found = model(BODY, constants=CONSTANTS)
    prune(found)
    assert [node.op_type for node in found.graph.node] == ["MatMul", "Tanh", "Neg"]
    assert [weight.name for weight in found.graph.initializer] == ["W"]
    onnx.checker.check_model(found)


def test_what_a_branch_needs_is_kept() -> None:
    body = (
        "w = Neg (features) on = Constant <value = bool {1}> () "
        "scores = If (on) <then_branch = a () => (float[batch,3] y) { y = Add (w, t) }, "
        "else_branch = b () => (float[batch,3] z) { z = Identity (features) }>"
    )
    found = model(body, outputs="float[batch,3] scores", constants={"t": np.ones(3, np.float32)})
    prune(found)
    assert [node.op_type for node in found.graph.node] == ["Neg", "Constant", "If"]
    assert [weight.name for weight in found.graph.initializer] == ["t"]
    np.testing.assert_array_equal(opened(found).run(np.zeros((2, 3), np.float32))["scores"], np.ones((2, 3)))


def test_a_copy_may_be_changed() -> None:
    found = model(BODY, constants=CONSTANTS)
    other = copied(found)
    prune(other)
    assert len(found.graph.node) == 4
    assert serialise(found) == serialise(copied(found)) != serialise(other)


def test_attributes_have_defaults() -> None:
    (node,) = model("scores = LeakyRelu <alpha = 0.25> (features)", outputs="float[batch,3] scores").graph.node
    assert attribute(node, "alpha", 0.01) == 0.25
    assert attribute(node, "beta", 2.0) == 2.0
    assert attribute(node, "beta") is None


def test_the_opset_is_that_of_the_standard_operators() -> None:
    assert opset(model(BODY, constants=CONSTANTS, opset=15)) == 15


@pytest.mark.parametrize(("body", "count"), [
    (BODY, 6 + 12),
    ("a = MatMul (features, W) c = MatMul (features, V) "
     "scores = ai.onnx.ml.Scaler <offset = [0.5, 0.25], scale = [2.0, 3.0]> (a)", 6 + 12 + 4),
])  # fmt: skip
def test_parameters_are_weights_and_numbers_in_attributes(body: str, count: int) -> None:
    assert parameter_count(model(body, constants=CONSTANTS)) == count


def test_a_model_without_parameters_has_one() -> None:
    assert parameter_count(model("scores = Neg (features)", outputs="float[batch,3] scores")) == 1


def test_what_onnx_runtime_cannot_load_is_refused_in_its_words() -> None:
    wrong = model("a = Identity (features) scores = MatMul (a, W)", constants=CONSTANTS)
    wrong.graph.initializer[0].dims[:] = [2, 3]
    with pytest.raises(ArtifactError, match=r"the model: ONNX Runtime cannot load it \(\w+\): .*[Ii]ncompatible"):
        opened(wrong)
