"""Files that other libraries could write: made plain, or refused by what stands in the way."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.source import Source, read_source
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import model, zipped

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
ZIPPED = (
    "label, shares = ai.onnx.ml.LinearClassifier <classlabels_strings = {labels}, coefficients = "
    '[-0.5, 1.0, -2.0, 0.5, -1.0, 2.0], intercepts = [-0.5, 0.5], post_transform = "SOFTMAX"> (features)'
)


def read(found: onnx.ModelProto, path: Path) -> Source:
    path.write_bytes(found.SerializeToString())
    return read_source(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def test_an_image_becomes_columns(path: Path) -> None:
    graph = model(
        "pooled = MaxPool <kernel_shape = [1, 2]> (pixels) logits = Flatten (pooled)",
        "float[batch,1,2,3] pixels", "float[batch,4] logits",
    )  # fmt: skip
    graph.producer_name, graph.producer_version = "somebody", "1.5"
    source = read(graph, path)
    assert (source.width, source.shape, source.labels, source.producer) == (6, (1, 2, 3), (), "somebody 1.5")
    assert source.original == ("pixels", "logits")
    assert source.operators == {"Reshape", "MaxPool", "Flatten", "Cast"}
    assert [(item.domain, item.version) for item in source.graph.opset_import] == [("", 18), ("ai.onnx.ml", 3)]
    assert len(source.sha256) == 64
    image = X.reshape(-1, 2, 3)
    expected = np.maximum(image[..., :-1], image[..., 1:]).reshape(4, -1)
    np.testing.assert_array_equal(opened(source.graph).run(X)["answer"], expected)


def test_doubles_are_taken_as_they_are_and_answered_in_float32(path: Path) -> None:
    graph = model("y = Exp (x)", "double[batch,6] x", "double[batch,6] y")
    source = read(graph, path)
    found = opened(source.graph).run(X)["answer"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.exp(X.astype(np.float64)).astype(np.float32))
    assert source.producer == "unknown"


def test_a_files_own_tensors_may_have_any_name(path: Path) -> None:
    graph = model("scores = Neg (answer) features = Tanh (scores)", "float[batch,6] answer", "float[batch,6] features")
    source = read(graph, path)
    np.testing.assert_allclose(opened(source.graph).run(X)["answer"], np.tanh(-X), rtol=1e-5)


@pytest.mark.parametrize(("labels", "named"), [('["no", "yes"]', ("no", "yes"))])
def test_a_classifiers_shares_are_the_answer_and_its_labels_are_named(
    path: Path, labels: str, named: tuple[str, ...]
) -> None:
    graph = model(ZIPPED.format(labels=labels), outputs="string[batch] label, float[batch,2] shares")
    source = read(graph, path)
    assert source.labels == named
    assert source.original == ("features", "shares")
    assert "LinearClassifier" not in source.operators
    found = opened(source.graph).run(X[:, :3])["answer"]
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_what_a_zipmap_makes_a_list_of_is_the_answer(path: Path) -> None:
    source = read(zipped(), path)
    assert source.labels == ("no", "yes")
    assert source.original == ("features", "shares")
    assert "ZipMap" not in source.operators


def test_a_model_without_standard_operators_gets_them(path: Path) -> None:
    graph = model('y = ai.onnx.ml.Normalizer <norm = "L1"> (features)', outputs="float[batch,3] y")
    del graph.opset_import[:]
    graph.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    source = read(graph, path)
    assert {(item.domain, item.version) for item in source.graph.opset_import} == {("ai.onnx.ml", 3), ("", 13)}
    found = opened(source.graph).run(X[:, :3])["answer"]
    np.testing.assert_allclose(np.abs(found).sum(axis=1), 1, rtol=1e-6)


BATCH = "float[batch,3] x"
REFUSED: dict[str, tuple[onnx.ModelProto, str]] = {
    "another domain": (
        helper.make_model(
            helper.make_graph(
                [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")], "g",
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
                [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
            ),
            opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)], ir_version=8,
        ),
        "operator com.microsoft::Gelu is no standard one; export the model with operators of ai.onnx and ai.onnx.ml "
        "alone",
    ),
    "an old opset": (
        model("y = Neg (x)", BATCH, "float[batch,3] y", opset=8),
        "opset 8 is too old; export the model with opset 9 or later",
    ),
    "two inputs": (
        model("y = Add (x, z)", f"{BATCH}, float[batch,3] z", "float[batch,3] y"),
        "the model has 2 inputs (x, z); export it with one float input that holds all columns (skl2onnx: "
        "initial_types=[('input', FloatTensorType([None, D]))])",
    ),
    "many inputs": (
        model(
            "y = Sum (a, b, c, d, e, f)", ", ".join(f"float[batch,3] {name}" for name in "abcdef"), "float[batch,3] y"
        ),
        "the model has 6 inputs (a, b, c, d, e); export it with one float input that holds all columns (skl2onnx: "
        "initial_types=[('input', FloatTensorType([None, D]))])",
    ),
    "whole numbers": (
        model("y = Cast <to = 1> (x)", "int64[batch,3] x", "float[batch,3] y"),
        "input x is of type INT64; export the model with a float32 input",
    ),
    "no columns": (
        model("y = Neg (x)", "float[batch] x", "float[batch] y"),
        "input x has 1 dimensions; it must have a batch and at least one further",
    ),
    "a fixed batch": (
        model("y = Neg (x)", "float[1,3] x", "float[1,3] y"),
        "input x takes exactly 1 rows; export it with a dynamic batch dimension (torch.onnx.export: dynamic_shapes, or "
        "dynamic_axes)",
    ),
    "unknown columns": (
        model("y = Neg (x)", "float[batch,width] x", "float[batch,width] y"),
        "input x has an unknown size behind the batch; export it fixed",
    ),
    "labels alone": (
        model("y = ArgMax <axis = 1, keepdims = 0> (x)", BATCH, "int64[batch] y"),
        "the outputs (y) are labels alone; export the probabilities too (scikit-learn: a classifier with "
        "predict_proba)",
    ),
    "two floats": (
        model("y = Neg (x) z = Tanh (x)", BATCH, "float[batch,3] y, float[batch,3] z"),
        "several outputs are floats (y, z); export the one to be served",
    ),
    "truths": (
        model("y = Greater (x, z)", BATCH, "bool[batch,3] y", {"z": np.zeros(1, np.float32)}),
        "output y is of type BOOL; export scores or probabilities as a float tensor",
    ),
    "a sequence": (
        model("y = SequenceConstruct (x)", BATCH, "seq(float[batch,3]) y"),
        "output y is of type sequence_type; export scores or probabilities as a float tensor",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_stands_in_the_way_is_named_with_the_way_out(path: Path, name: str) -> None:
    graph, said = REFUSED[name]
    with pytest.raises(AdoptionError) as caught:
        read(graph, path)
    assert str(caught.value) == said


def test_a_file_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(AdoptionError, match=r"model\.onnx: cannot be read \(No such file or directory\)"):
        read_source(path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x08"])
def test_what_is_no_model_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(AdoptionError, match=r"model\.onnx: no sound ONNX file \(.+\); export the model again"):
        read_source(path)
