"""From a plain graph's answer to scores and probabilities, as every artifact has them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from chainzrule.service.artifact.interface import MAX_SCORES, Task
from chainzrule.training.adopt.source import OUTPUT, Builder, Source, attribute, prune
from chainzrule.training.errors import AdoptionError

LEAST = 1e-7  # of a probability, so that its logarithm is finite
ROUNDING = 1e-5  # a sum of float32 shares may be a little over 1

Matrix = NDArray[np.float32]
Meaning = Literal["value", "probabilities", "scores"]


@dataclass(frozen=True)
class Head:
    """A graph with `scores` and, for labels, `probabilities`.

    Attributes:
        graph: `features` -> these.
        outputs: their descriptions.
        how: where the scores come from, in words.
    """

    graph: onnx.ModelProto
    outputs: list[onnx.ValueInfoProto]
    how: str


def meaning(task: Task, answer: Matrix) -> Meaning:
    """What the answer to the sample's rows, (rows, columns), is: numbers that are chances in every row are taken so.

    Raises:
        AdoptionError: a shape that does not fit the task.
    """
    columns = answer.shape[1]
    if task == "regression":
        if columns != 1:
            raise AdoptionError(
                f"the model gives {columns} numbers a row where the target is one quantity; export one output column, "
                "or say --task classification if they are scores of labels"
            )
        return "value"
    if columns > MAX_SCORES:
        raise AdoptionError(f"the model has {columns} labels; at most {MAX_SCORES} can be served")
    chances = bool(((answer >= 0) & (answer <= 1 + ROUNDING)).all())
    if columns > 1:
        chances = chances and bool((np.abs(answer.sum(axis=1) - 1) < 1e-3).all())
    return "probabilities" if chances else "scores"


def add_head(source: Source, kind: Meaning, columns: int) -> Head:
    """The graph with its head, from an answer of so many columns."""
    model = onnx.ModelProto()
    model.CopyFrom(source.graph)
    build = Builder(model, "head")
    answer = build.reshape(OUTPUT, -1, columns)
    labels = max(columns, 2)
    if kind == "value":
        build.add("Identity", [answer], "scores")
        how = "the model's output"
    elif kind == "scores":
        build.add("MatMul", [answer, build.constant(_centring(columns))], "scores")
        build.add("Softmax", ["scores"], "probabilities", axis=1)
        how = "the model's output, less its mean over the labels"
    else:
        how = _of_probabilities(build, answer, columns)
    S = 1 if kind == "value" else labels
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", S])]
    if kind != "value":
        outputs.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", labels]))
    model.graph.node.extend(build.nodes)
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    prune(model)
    return Head(model, outputs, how)


def _of_probabilities(build: Builder, answer: str, columns: int) -> str:
    """Scores from where the probabilities were made, if that can be seen, else from their logarithms."""
    made = {output: node for node in build.model.graph.node for output in node.output}

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
        if rest is None or rest.op_type != "Sub" or node is None or node.output[0] not in rest.input[1]:
            node = None
    if columns == 1:
        rest_name = build.add("Sub", [build.constant(1.0), answer])
        answer = build.add("Concat", [rest_name, answer], axis=1)
    # Not Clip, whose bounds are inputs only from opset 11: converters of scikit-learn's models write 9.
    build.add("Max", [build.add("Min", [answer, build.constant(1.0)]), build.constant(0.0)], "probabilities")
    if node is not None and node.op_type == "Softmax" and columns > 1:
        logits = build.reshape(node.input[0], -1, columns)
        build.add("MatMul", [logits, build.constant(_centring(columns))], "scores")
        return "the softmax's own input, less its mean over the labels"
    if node is not None and node.op_type == "Sigmoid" and (columns == 1 or pair is not None):
        logit = build.reshape(node.input[0], -1, 1)
        build.add("MatMul", [logit, build.constant([[-0.5, 0.5]])], "scores")
        return "half of the logistic function's own input, for and against"
    floored = build.add("Max", [answer, build.constant(LEAST)])
    logarithm = build.add("Log", [floored])
    build.add("MatMul", [logarithm, build.constant(_centring(max(columns, 2)))], "scores")
    return f"logarithms of the probabilities, of {LEAST:g} at least, less their mean over the labels"


def _normalises(node: onnx.NodeProto) -> bool:
    """Whether it divides shares by their sum, which changes nothing behind what sums to 1 already."""
    return node.op_type == "Normalizer" and attribute(node, "norm", b"MAX") == b"L1"


def _centring(columns: int) -> NDArray[np.float64]:
    if columns == 1:
        return np.array([[-0.5, 0.5]])
    return np.eye(columns) - 1.0 / columns
