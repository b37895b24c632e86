"""What a file takes, answers and names; and what stands in the way, with the way out."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from chainzrule.training.adopt.given import CONVERTED_OPSET, Given, read_given
from chainzrule.training.adopt.graph import opset
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import given_of, model, zipped

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
BATCH = "float[batch,3] x"


def read(found: onnx.ModelProto, path: Path) -> Given:
    path.write_bytes(found.SerializeToString())
    return read_given(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def test_what_it_takes_and_answers_is_described(path: Path) -> None:
    graph = model(
        "y = MaxPool <kernel_shape = [1, 2]> (pixels)", "float[batch,1,2,3] pixels", "float[batch,1,2,2] y"
    )  # fmt: skip
    graph.producer_name, graph.producer_version = "somebody", "1.5"
    given = read(graph, path)
    (pixels,) = given.inputs
    assert (pixels.own_name, pixels.kind, pixels.batch, pixels.shape, pixels.width) == ("pixels", 1, None, (1, 2, 3), 6)
    assert (given.answer, given.label, given.labels) == ("source_y", None, ())
    assert (given.producer, given.notes, given.batch) == ("somebody 1.5", (), None)
    assert len(given.sha256) == 64


@pytest.mark.parametrize(("declared", "kind", "batch", "shape", "width"), [
    ("int64[batch] x", TensorProto.INT64, None, (), 1),
    ("uint8[batch,3] x", TensorProto.UINT8, None, (3,), 3),
    ("string[batch,1] x", TensorProto.STRING, None, (1,), 1),
    ("double[2,3] x", TensorProto.DOUBLE, 2, (3,), 3),
    ("float[batch,columns] x", TensorProto.FLOAT, None, (None,), None),
    ("float[batch,8,columns] x", TensorProto.FLOAT, None, (8, None), None),
])  # fmt: skip
def test_inputs_may_be_of_many_kinds(
    declared: str, kind: int, batch: int | None, shape: tuple[int | None, ...], width: int | None
) -> None:
    (found,) = given_of(model("y = Identity (z)", f"{declared}, float[batch,1] z", "float[batch,1] y")).inputs[:1]
    assert (found.kind, found.batch, found.shape, found.width) == (kind, batch, shape, width)
    assert found.is_text == (kind == TensorProto.STRING)
    assert found.taking_floats().kind == (kind if found.is_text else TensorProto.FLOAT)


def test_labels_beside_the_numbers_are_the_files_own(path: Path) -> None:
    given = read(zipped(), path)
    assert (given.answer, given.label, given.labels) == ("source_shares", "source_label", ("no", "yes"))


def test_weights_beside_the_file_are_read(path: Path) -> None:
    graph = model("y = MatMul (x, W)", BATCH, "float[batch,200] y", {"W": np.ones((3, 200), np.float32)})
    onnx.save(graph, str(path), save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    assert (path.parent / "model.onnx.data").exists()
    given = read_given(path)
    session = onnxruntime.InferenceSession(given.model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"source_x": X})[0][:, 0], X.sum(axis=1), rtol=1e-5)
    (path.parent / "model.onnx.data").unlink()
    with pytest.raises(AdoptionError) as caught:
        read_given(path)
    assert str(caught.value) == (
        f"{path}: its weights lie in 'model.onnx.data', which is not beside it; copy that file there, or export the "
        "model in one file (torch.onnx.export: external_data=False)"
    )


def test_an_old_opset_is_converted(path: Path) -> None:
    graph = model("h = MatMul (x, W) y = Softmax <axis = 1> (h)", BATCH, "float[batch,2] y", {"W": X[:3, :2]}, opset=8)
    given = read(graph, path)
    assert given.notes == (f"the file's opset 8 was converted to {CONVERTED_OPSET}",)
    assert opset(given.model) == CONVERTED_OPSET


def test_an_opset_that_cannot_be_converted_is_named_with_the_reason(path: Path) -> None:
    weights = {"w": np.ones((1, 2, 3), np.float32), "r": np.ones((1, 2, 2), np.float32)}
    graph = model("y = RNN <hidden_size = 2> (x, w, r)", "float[s,b,3] x", "float[s,1,b,2] y", weights, opset=6)
    with pytest.raises(
        AdoptionError, match=r"opset 6 is older than 9, and onnx\.version_converter cannot convert it \("
    ):
        read(graph, path)


REFUSED: dict[str, tuple[onnx.ModelProto, str]] = {
    "another domain": (
        helper.make_model(
            helper.make_graph(
                [helper.make_node("Gelu", ["x"], ["y"], domain="my.ops")], "g",
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
                [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
            ),
            opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("my.ops", 1)], ir_version=8,
        ),
        "operator my.ops::Gelu is no standard one; export the model with operators of ai.onnx and ai.onnx.ml "
        "alone",
    ),
    "truths in": (
        model("y = Identity (z)", "complex64[batch,3] x, float[batch,1] z", "float[batch,1] y"),
        "input x is of type COMPLEX64; export the model with a float32 input",
    ),
    "no rows": (
        model("y = Identity (z)", "float x, float[batch,1] z", "float[batch,1] y"),
        "input x is a single number; export the model with a batch of rows",
    ),
    "no input": (
        model("y = Constant <value = float[1,1] {1.0}> ()", "", "float[1,1] y"),
        "the model has no input; export it again",
    ),
    "labels alone": (
        model("y = ArgMax <axis = 1, keepdims = 0> (x)", BATCH, "int64[batch] y"),
        "the outputs (y) are labels alone; export the probabilities too (scikit-learn: a classifier with "
        "predict_proba)",
    ),
    "two floats": (
        model("y = Neg (x) z = Tanh (x)", BATCH, "float[batch,3] y, float[batch,3] z"),
        "several outputs are floats (y, z); name the one to be served with --output",
    ),
    "truths": (
        model("y = Greater (x, z)", BATCH, "bool[batch,3] y", {"z": np.zeros(1, np.float32)}),
        "output y is of type BOOL; export scores or probabilities as a float tensor",
    ),
    "a sequence": (
        model("y = SequenceConstruct (x)", BATCH, "seq(float[batch,3]) y"),
        "output y is of type sequence_type; export scores or probabilities as a float tensor; --which N serves the "
        "N-th, if it holds those of several targets",
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
        read_given(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdoptionError, match=r"is a folder; name the ONNX file in it"):
        read_given(tmp_path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x08"])
def test_what_is_no_model_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(AdoptionError, match=r"model\.onnx: no sound ONNX file \(.+\); export the model again"):
        read_given(path)


def test_a_file_of_another_format_is_called_what_it_is(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 weights")
    with pytest.raises(AdoptionError, match=r"model\.onnx: is a zip archive, as PyTorch and Keras write"):
        read_given(path)


@pytest.mark.parametrize("kind", ["slices", "gathers"])
def test_outputs_of_a_column_each_are_one_answer(kind: str) -> None:
    constants = {"W": X[:3], "n": np.array([0]), "e": np.array([1]), "t": np.array([2]), "flat": np.array([-1])}
    first, second = (
        ("Slice (h, n, e, e)", "Slice (h, e, t, e)") if kind == "slices" else
        ("Gather <axis = 1> (h, n)", "ai.onnx.ml.ArrayFeatureExtractor (h, e)")
    )  # fmt: skip
    body = f"h = MatMul (x, W) a = {first} b = {second} y = Reshape (a, flat) z = Reshape (b, flat)"
    graph = model(body, BATCH, "float[batch] y, float[batch] z", constants)
    assert given_of(graph).answer == "source_h"
    other = model(body.replace("y =", "w =").replace("z = Reshape (b", "y = Reshape (b").replace("w =", "z ="), BATCH,
                  "float[batch] y, float[batch] z", constants)  # fmt: skip
    with pytest.raises(AdoptionError, match="several outputs are floats"):  # in another order
        given_of(other)


def test_one_of_several_outputs_may_be_chosen(path: Path) -> None:
    graph = model("y = Neg (x) z = Tanh (x) l = ArgMax <axis = 1, keepdims = 0> (x)", BATCH,
                  "float[batch,3] y, float[batch,3] z, int64[batch] l")  # fmt: skip
    path.write_bytes(graph.SerializeToString())
    for name in ("y", "z"):
        given = read_given(path, name)
        assert (given.answer, given.label) == (f"source_{name}", "source_l")
    with pytest.raises(AdoptionError, match="no output is named 'w'; there are y, z, l"):
        read_given(path, "w")
