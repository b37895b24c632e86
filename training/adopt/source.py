"""Someone else's ONNX file, as a plain graph: one float32 matrix in, one float tensor out, labels by name."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.compose
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from chainzrule.training.errors import AdoptionError

OLDEST_OPSET = 9
DOMAINS = {"": "ai.onnx", "ai.onnx.ml": "ai.onnx.ml"}
PREFIX = "source_"
INPUT, OUTPUT = "features", "answer"

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Source:
    """A file as it was read, and its graph made plain.

    Attributes:
        content: the file's bytes.
        graph: `features` (batch, width) -> `answer`; what only served other outputs is gone.
        width: columns of the input, D.
        labels: the classes that the file names, in the order of the answer's columns; empty where it names none.
        producer: what the file says it was made by.
        original: the names of the file's own input and of the output that `answer` stands for.
        shape: of the file's own input behind the batch.
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
        """Of the file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def operators(self) -> set[str]:
        """The operators that the answer needs."""
        return {node.op_type for node in self.graph.graph.node}


class Builder:
    """Adds nodes to a graph under names of its own."""

    def __init__(self, model: onnx.ModelProto, prefix: str) -> None:
        self.model = model
        self._prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self._count = 0

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        """The name of a new initialiser."""
        name = self._name()
        self.model.graph.initializer.append(numpy_helper.from_array(np.array(values, dtype=kind, order="C"), name))
        return name

    def add(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """The name of a new node's output."""
        output = output or self._name()
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def reshape(self, value: str, *shape: int) -> str:
        """A reshaped tensor; one -1 stands for the batch."""
        return self.add("Reshape", [value, self.constant(shape, np.int64)])

    def _name(self) -> str:
        self._count += 1
        return f"{self._prefix}_{self._count}"


def read_source(path: Path) -> Source:
    """Read a file and make its graph plain.

    Raises:
        AdoptionError: names the operator, shape or type that stands in the way, and what to do.
    """
    try:
        content = path.read_bytes()
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model)
    except OSError as error:
        raise AdoptionError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # protobuf's and the checker's errors share no other base
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise AdoptionError(f"{path}: no sound ONNX file ({first}); export the model again") from None
    _check_domains(model)
    # The names of the artifact's own tensors must be free.
    model = onnx.compose.add_prefix(model, PREFIX)
    name, shape = _input(model)
    answer, labels = _answer(model)
    width = int(np.prod(shape))
    graph = model.graph
    front = Builder(model, "front")
    value = INPUT
    if _kind(graph.input[0]) == TensorProto.DOUBLE:
        value = front.add("Cast", [value], to=TensorProto.DOUBLE)
    front.add("Reshape", [value, front.constant((-1, *shape), np.int64)], name)
    back = Builder(model, "back")
    back.add("Cast", [answer], OUTPUT, to=TensorProto.FLOAT)
    nodes = [*front.nodes, *(plain for node in graph.node for plain in _plain(model, node)), *back.nodes]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", width]))
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, None))
    prune(model)
    producer = " ".join(part for part in (model.producer_name, model.producer_version) if part) or "unknown"
    return Source(content, model, width, labels, producer, (_own(name), _own(answer)), shape)


def prune(model: onnx.ModelProto) -> None:
    """Drop the nodes and initialisers that no output needs."""
    graph = model.graph
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input) | {
                name for item in node.attribute if item.HasField("g") for part in item.g.node for name in part.input
            }
    weights = [weight for weight in graph.initializer if weight.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(weights)


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """An attribute of a node."""
    return next((helper.get_attribute_value(item) for item in node.attribute if item.name == name), default)


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
    """The tensor that says it all, and the labels that the file names."""
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
    for name in ("classlabels_int64s", "classlabels_strings", "classlabels_ints"):
        found = attribute(node, name)
        if found:
            return tuple(item.decode() if isinstance(item, bytes) else str(item) for item in found)
    return ()


def _plain(model: onnx.ModelProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The node in operators that have a derivative, where there are such."""
    lower = LOWERINGS.get(node.op_type) if node.domain == "ai.onnx.ml" else None
    build = Builder(model, f"plain_{node.output[-1]}")
    return build.nodes if lower is not None and lower(build, node) else [node]


def _scaler(build: Builder, node: onnx.NodeProto) -> bool:
    offset, scale = attribute(node, "offset", [0.0]), attribute(node, "scale", [1.0])
    centred = build.add("Sub", [node.input[0], build.constant(offset)])
    build.add("Mul", [centred, build.constant(scale)], node.output[0])
    return True


def _linear_classifier(build: Builder, node: onnx.NodeProto) -> bool:
    """Softmax, and the logistic function of opposite scores; others stay as they are."""
    kind = attribute(node, "post_transform", b"NONE")
    intercepts = np.array(attribute(node, "intercepts", []))
    coefficients = np.array(attribute(node, "coefficients"))
    if len(intercepts) < 2 or kind not in (b"SOFTMAX", b"LOGISTIC"):
        return False
    W = coefficients.reshape(len(intercepts), -1)
    if kind == b"LOGISTIC":
        if len(W) != 2 or not (np.array_equal(W[0], -W[1]) and intercepts[0] == -intercepts[1]):
            return False
        W, intercepts = W / 2, intercepts / 2
    scores = build.add("MatMul", [node.input[0], build.constant(W.T)])
    shifted = build.add("Add", [scores, build.constant(intercepts)])
    build.add("Softmax", [shifted], node.output[1], axis=1)
    return True


def _linear_regressor(build: Builder, node: onnx.NodeProto) -> bool:
    if attribute(node, "post_transform", b"NONE") != b"NONE":
        return False
    targets = attribute(node, "targets", 1)
    W = np.array(attribute(node, "coefficients")).reshape(targets, -1)
    product = build.add("MatMul", [node.input[0], build.constant(W.T)])
    build.add("Add", [product, build.constant(attribute(node, "intercepts", [0.0] * targets))], node.output[0])
    return True


LOWERINGS: dict[str, Callable[[Builder, onnx.NodeProto], bool]] = {
    "Scaler": _scaler,
    "LinearClassifier": _linear_classifier,
    "LinearRegressor": _linear_regressor,
}


def _kind(value: onnx.ValueInfoProto) -> int:
    return int(value.type.tensor_type.elem_type) if value.type.HasField("tensor_type") else 0


def _own(name: str) -> str:
    """A tensor's name in the file."""
    return name.removeprefix(PREFIX)
