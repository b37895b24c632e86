"""Reads, prunes, serialises and opens ONNX models in memory."""

import re
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from chainzrule.service.errors import ArtifactError
from chainzrule.service.runtime.graph import Execution, Graph

_RUNNING = re.compile(r"while running (?P<operator>\w+) node.*?Status Message: (?P<reason>.*)")


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """Returns an attribute of a node, or the default where the node has none of that name."""
    return next((helper.get_attribute_value(item) for item in node.attribute if item.name == name), default)


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a deep copy, which may be changed."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other


def prune(model: onnx.ModelProto) -> None:
    """Drops the nodes and initialisers that no output needs."""
    graph = model.graph
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input) | _read_inside(node)
    weights = [weight for weight in graph.initializer if weight.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(weights)


def _read_inside(node: onnx.NodeProto) -> set[str]:
    """Returns the names that the bodies of a loop or a branch read, of which some lie outside of them."""
    bodies = [body for item in node.attribute for body in (*item.graphs, *([item.g] if item.HasField("g") else []))]
    names = {value.name for body in bodies for value in body.output}
    for body in bodies:
        for part in body.node:
            names |= set(part.input) | _read_inside(part)
    return names


def serialise(model: onnx.ModelProto) -> bytes:
    """Returns the model's bytes, which are the same for equal models."""
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def opset(model: onnx.ModelProto) -> int:
    """Returns the version of the standard operators that the model uses."""
    return next(int(item.version) for item in model.opset_import if item.domain in ("", "ai.onnx"))


def parameter_count(model: onnx.ModelProto) -> int:
    """Returns how many numbers the graph holds, in weights and in the attributes of trees; at least 1."""
    held = sum(int(np.prod(weight.dims)) for weight in model.graph.initializer)
    return max(1, held + sum(len(item.floats) for node in model.graph.node for item in node.attribute))


def opened(model: onnx.ModelProto) -> Graph:
    """Returns the model as a graph in ONNX Runtime, on one thread of the CPU.

    Raises:
        ArtifactError: it cannot be loaded; says what ONNX Runtime says.
    """
    try:
        return Graph(serialise(model), "the model", Execution("cpu", threads=1))
    except ArtifactError as error:
        raise ArtifactError(f"{error.detail}: {failure(error)}", error.place) from None


def failure(error: Exception) -> str:
    """Returns in one short line what ONNX Runtime says of a graph that it cannot load or run."""
    text = " ".join(str(error.__cause__ or error).split())
    running = _RUNNING.search(text)
    if running is not None:
        return f"{running['operator']}: {running['reason'][:200]}"
    return f"{type(error).__name__}: {text[:240]}"


def runs(model: onnx.ModelProto) -> bool:
    """Returns whether ONNX Runtime loads a model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(serialise(model), options, providers=["CPUExecutionProvider"])
    except Exception:  # ONNX Runtime's errors share no narrower base
        return False
    return True


def element_type(value: onnx.ValueInfoProto) -> int:
    """Returns a value's element type, one of `TensorProto`'s; 0 if it is no tensor."""
    return int(value.type.tensor_type.elem_type) if value.type.HasField("tensor_type") else 0
