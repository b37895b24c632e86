"""Finds the labels that a graph names, in the order of its answer's columns."""

import numpy as np
import onnx
from onnx import numpy_helper

from chainzrule.training.adopt.graph import attribute

PASSING = frozenset(("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"))
CLASS_LABELS = ("classlabels_int64s", "classlabels_strings", "classlabels_ints")


def named_labels(graph: onnx.GraphProto, answer: str, label: str | None) -> tuple[str, ...]:
    """Returns the outermost labels: a ZipMap's, else those that the label output is looked up in, else the answer's.

    Models that combine others, such as a stack, hold the labels of the inner ones too. Those are not the model's.

    Args:
        graph: the whole graph.
        answer: the float tensor that is served.
        label: the output that names each row's label; None where there is none.
    """
    made = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type == "ZipMap" and node.input[0] == answer and (found := _class_labels(node)):
            return found
    if label is not None:
        node = _maker(made, label)
        if node is not None and (found := _class_labels(node) or _looked_up(graph, made, node)):
            return found
        return ()
    node = _maker(made, answer)
    return _class_labels(node) if node is not None else ()


def _maker(made: dict[str, onnx.NodeProto], name: str) -> onnx.NodeProto | None:
    node = made.get(name)
    while node is not None and (node.op_type in PASSING or node.op_type == "Normalizer"):
        node = made.get(node.input[0])
    return node


def _class_labels(node: onnx.NodeProto) -> tuple[str, ...]:
    """Returns the labels that a classifier's or a ZipMap's attributes name."""
    for name in CLASS_LABELS:
        if found := attribute(node, name):
            return _texts(found)
    return ()


def _looked_up(graph: onnx.GraphProto, made: dict[str, onnx.NodeProto], node: onnx.NodeProto) -> tuple[str, ...]:
    """Returns the constant that a node chooses the label from, by a place in it."""
    if node.op_type in ("ArrayFeatureExtractor", "Gather", "GatherElements"):
        for weight in graph.initializer:
            if weight.name == node.input[0]:
                return _texts(numpy_helper.to_array(weight).ravel().tolist())
        source = _maker(made, node.input[0])
        if source is not None and source.op_type == "Constant" and attribute(source, "value") is not None:
            return _texts(numpy_helper.to_array(attribute(source, "value")).ravel().tolist())
    if node.op_type == "LabelEncoder":
        keys = attribute(node, "keys_int64s")
        values = attribute(node, "values_strings") or attribute(node, "values_int64s")
        if keys and values and sorted(keys) == list(range(len(values))):
            return _texts([values[int(place)] for place in np.argsort(keys)])
    return ()


def _texts(values: list[object]) -> tuple[str, ...]:
    return tuple(item.decode() if isinstance(item, bytes) else str(item) for item in values)
