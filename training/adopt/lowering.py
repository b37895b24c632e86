"""Writes operators of `ai.onnx.ml` in standard operators, which have derivatives.

This is called lowering. Operators that have no derivative anyway, such as trees, stay as they are.
"""

from collections.abc import Callable

import numpy as np
import onnx

from chainzrule.training.adopt.graph import attribute
from chainzrule.training.onnxwriter import NodeWriter

Rule = Callable[[NodeWriter, onnx.NodeProto], bool]


def lower(node: onnx.NodeProto) -> NodeWriter | None:
    """Returns nodes that give the same outputs as the node, or None where the node has to stay."""
    rule = RULES.get(node.op_type) if node.domain == "ai.onnx.ml" else None
    writer = NodeWriter(f"plain_{node.output[-1]}_", "float")
    return writer if rule is not None and rule(writer, node) else None


def _scaler(writer: NodeWriter, node: onnx.NodeProto) -> bool:
    offset, scale = (
        writer.constant(np.array(attribute(node, name, [default]), np.float32))
        for name, default in (("offset", 0.0), ("scale", 1.0))
    )
    centred = writer.value(node.input[0]) - offset
    writer.node("Mul", centred, scale, output=node.output[0])
    return True


def _linear_classifier(writer: NodeWriter, node: onnx.NodeProto) -> bool:
    """Lowers classifiers that end in a softmax, or in the logistic function of a binary logit."""
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
    product = writer.value(node.input[0]) @ writer.constant(W.T.astype(np.float32))
    scores = product + writer.constant(intercepts.astype(np.float32))
    writer.node("Softmax", scores, axis=1, output=node.output[1])
    return True


def _linear_regressor(writer: NodeWriter, node: onnx.NodeProto) -> bool:
    if attribute(node, "post_transform", b"NONE") != b"NONE":
        return False
    targets = attribute(node, "targets", 1)
    W = np.array(attribute(node, "coefficients")).reshape(targets, -1)
    intercepts = np.array(attribute(node, "intercepts", [0.0] * targets), np.float32)
    product = writer.value(node.input[0]) @ writer.constant(W.T.astype(np.float32))
    writer.node("Add", product, writer.constant(intercepts), output=node.output[0])
    return True


def _imputer(writer: NodeWriter, node: onnx.NodeProto) -> bool:
    """Lowers imputers that fill gaps, not those that replace a number."""
    filled = attribute(node, "imputed_value_floats")
    if not filled or not np.isnan(attribute(node, "replaced_value_float", 0.0)):
        return False
    value = writer.value(node.input[0])
    gap = writer.node("IsNaN", value)
    writer.node("Where", gap, writer.constant(np.array(filled, np.float32)), value, output=node.output[0])
    return True


def _feature_vectorizer(writer: NodeWriter, node: onnx.NodeProto) -> bool:
    writer.node("Concat", *map(writer.value, node.input), axis=1, output=node.output[0])
    return True


RULES: dict[str, Rule] = {
    "Scaler": _scaler,
    "LinearClassifier": _linear_classifier,
    "LinearRegressor": _linear_regressor,
    "Imputer": _imputer,
    "FeatureVectorizer": _feature_vectorizer,
}
