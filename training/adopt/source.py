"""Reads someone else's ONNX file as a plain graph: a float32 matrix in, a float tensor out, labels by name."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx.compose
from onnx import TensorProto, helper

from chainzrule.training.adopt.graph import attribute, prune
from chainzrule.training.adopt.lowering import lower
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import NodeWriter

OLDEST_OPSET = 9
PREFIX = "source_"
INPUT, OUTPUT = "features", "answer"


@dataclass(frozen=True)
class Source:
    """Holds a file as it was read, and its graph made plain.

    Attributes:
        content: the file's bytes.
        graph: `features` (batch, width) -> `answer`; what only served other outputs is gone.
        width: columns of the input, D.
        labels: the classes that the file names, in the order of the answer's columns; empty where it names none.
        producer: what the file says it was made by.
        original: the names of the file's own input and of the output that `answer` stands for.
        shape: the shape of the file's own input behind the batch.
    """

    content: bytes
    graph: onnx.ModelProto
    width: int
    labels: tuple[str, ...]
    producer: str
    original: tuple[str, str]
    shape: tuple[int, ...]

    @property
    def sha256(self) -> str:
        """Returns the hash of the file's content."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def operators(self) -> set[str]:
        """Returns the operators that the answer needs."""
        return {node.op_type for node in self.graph.graph.node}


def read_source(path: Path) -> Source:
    """Reads a file and makes its graph plain.

    Raises:
        AdoptionError: names the operator, shape or type that stands in the way, and what to do.
    """
    try:
        content = path.read_bytes()
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model)
    except OSError as error:
        raise AdoptionError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # protobuf's and the checker's errors share no narrower base
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise AdoptionError(f"{path}: no sound ONNX file ({first}); export the model again") from None
    _check_domains(model)
    # The names of the artifact's own tensors must not be taken.
    model = onnx.compose.add_prefix(model, PREFIX)
    name, shape = _input(model)
    answer, labels = _answer(model)
    _make_plain(model, name, shape, answer)
    producer = " ".join(part for part in (model.producer_name, model.producer_version) if part) or "unknown"
    return Source(content, model, int(np.prod(shape)), labels, producer, (_own(name), _own(answer)), shape)


def _make_plain(model: onnx.ModelProto, name: str, shape: tuple[int, ...], answer: str) -> None:
    """Puts one float32 matrix in front of the input `name` and one float32 tensor after `answer`."""
    graph = model.graph
    front, back = NodeWriter("front_", "float"), NodeWriter("back_", "float")
    value = front.value(INPUT)
    if _kind(graph.input[0]) == TensorProto.DOUBLE:
        value = value.cast(TensorProto.DOUBLE)
    front.node("Reshape", value, front.constant(np.array((-1, *shape), np.int64)), output=name)
    back.node("Cast", back.value(answer), to=TensorProto.FLOAT, output=OUTPUT)
    own = list(graph.node)
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    front.append_to(model)
    for node in own:
        lowered = lower(node)
        if lowered is None:
            graph.node.append(node)
        else:
            lowered.append_to(model)
    back.append_to(model)
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", int(np.prod(shape))]))
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, None))
    prune(model)


def _check_domains(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx", "ai.onnx.ml"):
            raise AdoptionError(
                f"operator {node.domain}::{node.op_type} is no standard one; export the model with operators of "
                "ai.onnx and ai.onnx.ml alone"
            )
    opset = next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), OLDEST_OPSET)
    if opset < OLDEST_OPSET:
        raise AdoptionError(f"opset {opset} is too old; export the model with opset {OLDEST_OPSET} or later")
    if not any(item.domain in ("", "ai.onnx") for item in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", 13))


def _input(model: onnx.ModelProto) -> tuple[str, tuple[int, ...]]:
    """Returns the name of the one input and its shape without the batch."""
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(_own(value.name) for value in inputs[:5])
        raise AdoptionError(
            f"the model has {len(inputs)} inputs ({names}); export it with one float input that holds all columns "
            "(skl2onnx: initial_types=[('input', FloatTensorType([None, D]))])"
        )
    del model.graph.input[:]
    model.graph.input.append(inputs[0])
    name, kind = inputs[0].name, _kind(inputs[0])
    if kind not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        found = TensorProto.DataType.Name(kind) if kind else "no tensor"
        raise AdoptionError(f"input {_own(name)} is of type {found}; export the model with a float32 input")
    dims = inputs[0].type.tensor_type.shape.dim
    if len(dims) < 2:
        raise AdoptionError(
            f"input {_own(name)} has {len(dims)} dimensions; it must have a batch and at least one further"
        )
    if dims[0].HasField("dim_value") and dims[0].dim_value > 0:
        raise AdoptionError(
            f"input {_own(name)} takes exactly {dims[0].dim_value} rows; export it with a dynamic batch dimension "
            "(torch.onnx.export: dynamic_shapes, or dynamic_axes)"
        )
    shape = tuple(dim.dim_value for dim in dims[1:])
    if any(size < 1 for size in shape):
        raise AdoptionError(f"input {_own(name)} has an unknown size behind the batch; export it fixed")
    return name, shape


def _answer(model: onnx.ModelProto) -> tuple[str, tuple[str, ...]]:
    """Returns the name of the one float output, and the labels that the file names."""
    graph = model.graph
    outputs = {value.name: value for value in graph.output}
    floats: list[str] = []
    labels: tuple[str, ...] = ()
    for node in graph.node:
        if node.op_type == "ZipMap" and node.output[0] in outputs:
            floats.append(node.input[0])
            del outputs[node.output[0]]
        labels = labels or _labels(node)
    for name, value in outputs.items():
        if _kind(value) in (TensorProto.FLOAT, TensorProto.DOUBLE):
            floats.append(name)
        elif _kind(value) not in (TensorProto.INT64, TensorProto.INT32, TensorProto.STRING):
            kind = TensorProto.DataType.Name(_kind(value)) if _kind(value) else value.type.WhichOneof("value")
            raise AdoptionError(
                f"output {_own(name)} is of type {kind}; export scores or probabilities as a float tensor"
            )
    if not floats:
        names = ", ".join(_own(name) for name in outputs)
        raise AdoptionError(
            f"the outputs ({names}) are labels alone; export the probabilities too (scikit-learn: a classifier with "
            "predict_proba)"
        )
    if len(floats) > 1:
        raise AdoptionError(
            f"several outputs are floats ({', '.join(_own(name) for name in floats)}); export the one to be served"
        )
    return floats[0], labels


def _labels(node: onnx.NodeProto) -> tuple[str, ...]:
    """Returns the labels that a classifier's or a ZipMap's attributes name."""
    for name in ("classlabels_int64s", "classlabels_strings", "classlabels_ints"):
        found = attribute(node, name)
        if found:
            return tuple(item.decode() if isinstance(item, bytes) else str(item) for item in found)
    return ()


def _kind(value: onnx.ValueInfoProto) -> int:
    """Returns a value's element type, one of `TensorProto`'s; 0 if it is no tensor."""
    return int(value.type.tensor_type.elem_type) if value.type.HasField("tensor_type") else 0


def _own(name: str) -> str:
    """Returns the name that a tensor had in the original file."""
    return name.removeprefix(PREFIX)
