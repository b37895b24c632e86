"""Adds scores and probabilities, as every artifact has them, to a plain graph's answer."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from chainzrule.training.adopt.graph import attribute, copied, prune
from chainzrule.training.adopt.meaning import Meaning
from chainzrule.training.adopt.source import OUTPUT, Source
from chainzrule.training.onnxwriter import NodeWriter, Value

LEAST = 1e-7  # the smallest probability, so that its logarithm is finite


@dataclass(frozen=True)
class Head:
    """Holds a graph with `scores` and, for labels, `probabilities`.

    Attributes:
        graph: `features` -> these.
        outputs: their descriptions.
        how: where the scores come from, in words.
    """

    graph: onnx.ModelProto
    outputs: list[onnx.ValueInfoProto]
    how: str


def add_head(source: Source, kind: Meaning, columns: int) -> Head:
    """Returns the source's graph with its head, for an answer of `columns` columns."""
    model = copied(source.graph)
    writer = NodeWriter("head_", "float")
    answer = writer.value(OUTPUT).reshape(-1, columns)
    labels = max(columns, 2)
    if kind == "value":
        writer.node("Identity", answer, output="scores")
        how = "the model's output"
    elif kind == "margin":
        logit = writer.node("Gather", answer, writer.integers((1,)), axis=1)
        scores = writer.node("MatMul", logit, _centring(writer, 1), output="scores")
        writer.node("Softmax", scores, axis=1, output="probabilities")
        how = "half of the second of two opposite numbers, for and against"
    elif kind == "scores":
        scores = writer.node("MatMul", answer, _centring(writer, columns), output="scores")
        writer.node("Softmax", scores, axis=1, output="probabilities")
        how = "the model's output, less its mean over the labels"
    else:
        how = _add_probabilities(writer, model, answer, columns)
    S = 1 if kind == "value" else labels
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", S])]
    if kind != "value":
        outputs.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", labels]))
    writer.append_to(model)
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    prune(model)
    return Head(model, outputs, how)


def _add_probabilities(writer: NodeWriter, model: onnx.ModelProto, answer: Value, columns: int) -> str:
    """Adds both outputs: scores from the input of the softmax or sigmoid where that is found, else from logarithms.

    Returns:
        Where the scores come from, in words.
    """
    made = {output: node for node in model.graph.node for output in node.output}

    def maker(name: str) -> onnx.NodeProto | None:
        node = made.get(name)
        while node is not None and (node.op_type in ("Identity", "Cast", "Reshape") or _normalises(node)):
            node = made.get(node.input[0])
        return node

    node = maker(OUTPUT)
    pair = node if node is not None and node.op_type == "Concat" and columns == 2 else None
    if pair is not None and len(pair.input) == 2:
        node = maker(pair.input[1])
        rest = maker(pair.input[0])
        if rest is None or rest.op_type != "Sub" or maker(rest.input[1]) is not node:
            node = None
    if columns == 1:
        answer = writer.node("Concat", 1.0 - answer, answer, axis=1)
    # Clip cannot be used: its bounds are inputs only from opset 11, and scikit-learn's converters write 9.
    writer.node("Max", answer.minimum(1.0), 0.0, output="probabilities")
    if node is not None and node.op_type == "Softmax" and columns > 1:
        logits = writer.value(node.input[0]).reshape(-1, columns)
        writer.node("MatMul", logits, _centring(writer, columns), output="scores")
        return "the softmax's own input, less its mean over the labels"
    if node is not None and node.op_type == "Sigmoid" and (columns == 1 or pair is not None):
        logit = writer.value(node.input[0]).reshape(-1, 1)
        writer.node("MatMul", logit, _centring(writer, 1), output="scores")
        return "half of the logistic function's own input, for and against"
    logarithm = writer.node("Log", answer.maximum(LEAST))
    writer.node("MatMul", logarithm, _centring(writer, max(columns, 2)), output="scores")
    return f"logarithms of the probabilities, of {LEAST:g} at least, less their mean over the labels"


def _normalises(node: onnx.NodeProto) -> bool:
    """Returns whether the node divides shares by their sum, which changes nothing where they sum to 1 already."""
    return node.op_type == "Normalizer" and attribute(node, "norm", b"MAX") == b"L1"


def _centring(writer: NodeWriter, columns: int) -> Value:
    """Returns the matrix that subtracts each row's mean.

    A single column is a logit z, of which it makes the centred pair -z / 2 and z / 2.
    """
    if columns == 1:
        return writer.constant(np.array([[-0.5, 0.5]], np.float32))
    return writer.constant((np.eye(columns) - 1.0 / columns).astype(np.float32))
