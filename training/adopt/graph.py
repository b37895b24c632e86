"""Reads, prunes, serialises and opens ONNX models in memory."""

from typing import Any

import numpy as np
import onnx
from onnx import helper

from chainzrule.service.errors import ArtifactError
from chainzrule.service.runtime.graph import Execution, Graph


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
            needed |= set(node.input) | {
                name for item in node.attribute if item.HasField("g") for part in item.g.node for name in part.input
            }
    weights = [weight for weight in graph.initializer if weight.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(weights)


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
        cause = (str(error.__cause__).strip().splitlines() or [""])[0]
        raise ArtifactError(f"{error.detail}: {cause}", error.place) from None
