"""Files that other libraries could write, made plain."""

import numpy as np
import onnx
import pytest
from onnx import helper

from chainzrule.training.adopt.graph import opened
from tests.training.adopt.graphs import model, source_of, sources_of, zipped

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
ZIPPED = (
    'label, shares = ai.onnx.ml.LinearClassifier <classlabels_strings = ["no", "yes"], coefficients = '
    '[-0.5, 1.0, -2.0, 0.5, -1.0, 2.0], intercepts = [-0.5, 0.5], post_transform = "SOFTMAX"> (features)'
)


def test_an_image_becomes_columns() -> None:
    graph = model(
        "pooled = MaxPool <kernel_shape = [1, 2]> (pixels) logits = Flatten (pooled)",
        "float[batch,1,2,3] pixels", "float[batch,4] logits",
    )  # fmt: skip
    (source,) = sources_of(graph)
    assert source.width == 6
    assert source.operators == {"Reshape", "MaxPool", "Flatten", "Cast"}
    assert [(item.domain, item.version) for item in source.graph.opset_import] == [("", 18), ("ai.onnx.ml", 3)]
    image = X.reshape(-1, 2, 3)
    expected = np.maximum(image[..., :-1], image[..., 1:]).reshape(4, -1)
    np.testing.assert_array_equal(opened(source.graph).run(X)["answer"], expected)


def test_doubles_are_tried_in_float32_before_they_are_taken_as_they_are() -> None:
    graph = model("h = Exp (x) y = Mul (h, w)", "double[batch,6] x", "double[batch,6] y", {"w": np.full(6, 1 / 3)})
    narrow, wide = sources_of(graph)
    found, exact = (opened(source.graph).run(X)["answer"] for source in (narrow, wide))
    assert found.dtype == exact.dtype == np.float32
    np.testing.assert_array_equal(exact, (np.exp(X.astype(np.float64)) / 3).astype(np.float32))
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    assert {weight.data_type for weight in narrow.graph.graph.initializer} <= {1, 7}
    assert 11 in {weight.data_type for weight in wide.graph.graph.initializer}


def test_casts_and_constants_inside_are_narrowed_too() -> None:
    graph = model(
        "d = Cast <to = 11> (x) c = Constant <value = double {0.5}> () m = Mul (d, c) y = Cast <to = 1> (m)",
        "int64[batch,6] x", "float[batch,6] y",
    )  # fmt: skip
    narrow, wide = sources_of(graph)
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    for source in (narrow, wide):
        np.testing.assert_array_equal(opened(source.graph).run(whole)["answer"], whole / 2)
    # In float32 nothing is rounded to whole numbers, which could not be differentiated.
    np.testing.assert_array_equal(opened(narrow.graph).run(whole + 0.5)["answer"], (whole + 0.5) / 2)
    np.testing.assert_array_equal(opened(wide.graph).run(whole + 0.5)["answer"], whole / 2)


def test_trees_that_split_in_float64_are_not_narrowed() -> None:
    graph = model("y = Neg (x)", "double[batch,6] x", "double[batch,6] y")
    tree = helper.make_node("TreeEnsembleRegressor", ["x"], ["z"], domain="ai.onnx.ml")
    tree.attribute.append(helper.make_attribute("nodes_values_as_tensor", helper.make_tensor("t", 11, [1], [0.5])))
    graph.graph.node.append(tree)
    assert len(sources_of(graph)) == 1


def test_a_files_own_tensors_may_have_any_name() -> None:
    graph = model("scores = Neg (answer) features = Tanh (scores)", "float[batch,6] answer", "float[batch,6] features")
    np.testing.assert_allclose(opened(source_of(graph).graph).run(X)["answer"], np.tanh(-X), rtol=1e-5)


@pytest.mark.parametrize("graph", [model(ZIPPED, outputs="string[batch] label, float[batch,2] shares"), zipped()])
def test_a_classifiers_shares_are_the_answer(graph: onnx.ModelProto) -> None:
    source = source_of(graph)
    assert not source.operators & {"LinearClassifier", "ZipMap"}
    found = opened(source.graph).run(X[:, :3])["answer"]
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_a_model_without_standard_operators_gets_them() -> None:
    graph = model('y = ai.onnx.ml.Normalizer <norm = "L1"> (features)', outputs="float[batch,3] y")
    del graph.opset_import[:]
    graph.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    source = source_of(graph)
    assert {(item.domain, item.version) for item in source.graph.opset_import} == {("ai.onnx.ml", 3), ("", 13)}
    found = opened(source.graph).run(X[:, :3])["answer"]
    np.testing.assert_allclose(np.abs(found).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("shape", [[1, 3, 2], [1, 6]])
def test_a_fixed_number_of_rows_becomes_any(shape: list[int]) -> None:
    graph = model(
        "r = Reshape (x, shape) t = Tanh (r) y = Flatten (t)", "float[1,6] x", "float[1,6] y",
        {"shape": np.array(shape)},
    )  # fmt: skip
    found = opened(source_of(graph).graph).run(X)["answer"]
    np.testing.assert_allclose(found, np.tanh(X), rtol=1e-5)


def test_what_a_loop_reads_from_outside_keeps_its_name() -> None:
    body = (
        "count = Constant <value = int64 {3}> () on = Constant <value = bool {1}> () "
        "y = Loop (count, on, x) <body = b (int64 i, bool c, float[batch,6] h) => (bool again, float[batch,6] k) "
        "{ again = Identity (c) k = Add (h, w) }>"
    )
    graph = model(body, "float[batch,6] x", "float[batch,6] y", {"w": np.ones(6, np.float32)})
    np.testing.assert_allclose(opened(source_of(graph).graph).run(X)["answer"], X + 3, rtol=1e-5)


def test_columns_of_their_own_become_one_matrix() -> None:
    graph = model("y = Sub (second, first)", "float[batch,1] first, double[batch,1] second", "float[batch,1] y")
    graph.graph.input[1].type.tensor_type.elem_type = 1
    found = opened(source_of(graph).graph).run(X[:, :2])["answer"]
    np.testing.assert_allclose(found[:, 0], X[:, 1] - X[:, 0], rtol=1e-6)
