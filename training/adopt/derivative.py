"""Differentiates a graph of scores: writes the model graph with the covariance, and the Jacobian's graph."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from chainzrule.training.adopt.graph import copied
from chainzrule.training.adopt.reverse import Reverse
from chainzrule.training.adopt.rules import RULES
from chainzrule.training.adopt.unrolled import unrolled
from chainzrule.training.onnxwriter import NodeWriter


def derivative_graphs(
    scores: onnx.ModelProto, noise: NDArray[np.floating], outputs: list[onnx.ValueInfoProto]
) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Returns the graphs with exact derivatives of a graph of `scores` and perhaps `probabilities`.

    Args:
        scores: `features` (batch, D) -> `outputs`.
        noise: (D,) one noise sigma of every column.
        outputs: their descriptions.

    Returns:
        The model graph, which has the covariance besides, and the Jacobian's graph.

    Raises:
        AdoptionError: names the operator that has no derivative here.
    """
    S = next(value.type.tensor_type.shape.dim[1].dim_value for value in outputs if value.name == "scores")
    sigma, D = noise.astype(np.float32), len(noise)
    scores = unrolled(scores, noise)

    writer = NodeWriter("derivative_", "float")
    noisy = Reverse(scores, writer, "scores", np.eye(S, dtype=np.float32), noise).run(RULES) * writer.constant(sigma)
    writer.node("MatMul", noisy, noisy.matrix_transpose(3), output="covariance")
    model = _extended(scores, writer, [*outputs, _tensor("covariance", S, S)])

    writer = NodeWriter("derivative_", "float")
    jacobian = Reverse(scores, writer, "scores", np.eye(S, dtype=np.float32), noise).run(RULES)
    writer.node("Identity", jacobian, output="jacobian")
    flat = (jacobian * writer.constant(sigma)).reshape(-1, S * D)
    total = (flat * flat) @ writer.constant(np.ones((S * D, 1), np.float32))
    writer.node("Sqrt", total, output="layer_norms")
    return model, _extended(scores, writer, [_tensor("jacobian", S, D), _tensor("layer_norms", 1)])


def _extended(model: onnx.ModelProto, writer: NodeWriter, outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
    """Returns a copy of a graph with further nodes, and with only these outputs."""
    found = copied(model)
    writer.append_to(found)
    del found.graph.output[:]
    found.graph.output.extend(outputs)
    return found


def _tensor(name: str, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
