"""Adds the novelty to a model's graph, beside the prediction that it already makes."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from chainzrule.training.novelty.novelty import Novelty, Taps
from chainzrule.training.onnxwriter import NodeWriter

NOVELTY_OPSET = 13  # the oldest whose operators are those by which inputs are judged
PREFIX = "novelty_"


def with_novelty(content: bytes, novelty: Novelty, fill: NDArray[np.floating] | None = None) -> bytes:
    """Returns a model's graph with the further output `novelty`, and `deviations` where the novelty names features.

    What it computed before, it computes by the same nodes.

    Args:
        content: the graph.
        novelty: of the model's rows.
        fill: (D,) what the novelty sees in place of gaps, where the model itself takes gaps; None where it takes none.
    """
    model = onnx.load_from_string(content)
    writer = NodeWriter(PREFIX, "float")
    features = writer.value(model.graph.input[0].name)
    if fill is not None:
        gap = writer.node("IsNaN", features)
        features = writer.node("Where", gap, writer.constant(fill.astype(np.float32)), features)
    taps = None if novelty.network is None else _taps(model.graph, writer)
    written = novelty.write(writer, features, taps)
    writer.append_to(model)
    width = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    batch = model.graph.output[0].type.tensor_type.shape.dim[0].dim_param
    for value, columns in zip(written, (1, width), strict=False):
        model.graph.output.append(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, [batch, columns]))
    onnx.checker.check_model(model)
    result: bytes = model.SerializeToString(deterministic=True)
    return result


def _taps(graph: onnx.GraphProto, writer: NodeWriter) -> Taps:
    """Returns the values between the layers of a graph that `export.onnx` wrote, found by the weights' names."""
    first = next(node for node in graph.node if "weight_0" in node.input)
    last = next(node for node in graph.node if "output_weight" in node.input)
    has_probabilities = any(output.name == "probabilities" for output in graph.output)
    return Taps(
        first=writer.value(first.output[0]),
        last=writer.value(last.input[0]),
        scores=writer.value("scores"),
        probabilities=writer.value("probabilities") if has_probabilities else None,
    )
