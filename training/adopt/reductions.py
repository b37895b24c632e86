"""Defines the derivatives of sums and means over axes, and of what is normalised by them."""

import numpy as np
import onnx

from chainzrule.training.adopt.graph import attribute
from chainzrule.training.adopt.reverse import Reverse, Rule
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import Value


def _kept(reverse: Reverse, node: onnx.NodeProto) -> tuple[list[int], int]:
    """Returns the shape that a reduction leaves, with 1 for axes that are gone, and how many places each sum has."""
    shape = reverse.shape(node.input[0])
    axes = attribute(node, "axes")
    if axes is None and len(node.input) > 1 and node.input[1]:
        axes = reverse.constant(node.input[1]).ravel().tolist()
    layout = reverse.layout(node.input[0])
    places = [layout.place(axis) for axis in axes or range(len(layout.sizes))]
    kept = [1 if place in places else size for place, size in enumerate(shape)]
    return kept, int(np.prod([shape[place] for place in places]))


def _reduced(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    """Repeats the adjoint of a sum or a mean over all places that it was taken of."""
    kept, count = _kept(reverse, node)
    share = 1.0 / count if node.op_type == "ReduceMean" else 1.0
    spread = reverse.writer.constant(np.full(reverse.shape(node.input[0]), share, np.float32))
    reverse.accumulate(node.input[0], adjoint.reshape(-1, reverse.scores, *kept) * spread)


def _global_average(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    shape = reverse.plain_shape(node.input[0])
    spread = np.full(shape[1:], 1.0 / np.prod(shape[1:]), np.float32)
    reverse.accumulate(node.input[0], adjoint * reverse.writer.constant(spread))


def _softmax(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    layout = reverse.layout(node.input[0])
    given = int(attribute(node, "axis", -1 if reverse.opset >= 13 else 1))
    if reverse.opset < 13 and given % len(layout.sizes) != len(layout.sizes) - 1:
        raise AdoptionError(f"{node.op_type} across several axes has no derivative here")
    axis = layout.place(given) + 1
    output = reverse.factor(node.output[0], node.output[0])
    if node.op_type == "LogSoftmax":
        share = reverse.writer.node("Exp", output)
        reverse.accumulate(node.input[0], adjoint - share * reverse.summed(adjoint, [axis + 1]))
        return
    weighed = adjoint * output
    reverse.accumulate(node.input[0], weighed - output * reverse.summed(weighed, [axis + 1]))


def _batch_normalised(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    if attribute(node, "training_mode", 0):
        raise AdoptionError("BatchNormalization in training mode has no derivative here")
    scale, _, _, variance = (np.asarray(reverse.constant(name), np.float64) for name in node.input[1:])
    factor = (scale / np.sqrt(variance + float(attribute(node, "epsilon", 1e-5)))).astype(np.float32)
    inner = reverse.plain_shape(node.input[0])
    own = factor.reshape(-1, *[1] * (len(inner) - 1))
    reverse.accumulate(node.input[0], adjoint * reverse.writer.constant(own))


def _layer_normalised(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    """Takes out of the adjoint what moves the mean or the spread, which the normalisation takes out of the values."""
    layout = reverse.layout(node.input[0])
    axis = int(attribute(node, "axis", -1)) % len(layout.sizes)
    if axis <= layout.axis:
        raise AdoptionError("LayerNormalization across rows of the batch has no derivative here")
    first = layout.place(axis)
    axes = list(range(first + 2, len(layout.rest) + 2))
    count = float(np.prod(layout.rest[first:]))
    value = reverse.factor(node.input[0], node.input[0])
    centred = value - reverse.summed(value, axes) * (1 / count)
    variance = reverse.summed(centred * centred, axes) * (1 / count)
    steepness = reverse.writer.node("Reciprocal", (variance + float(attribute(node, "epsilon", 1e-5))).sqrt())
    normal = centred * steepness
    scaled = adjoint * reverse.value(node.input[1])
    mean = reverse.summed(scaled, axes) * (1 / count)
    along = reverse.summed(scaled * normal, axes) * (1 / count)
    reverse.accumulate(node.input[0], (scaled - mean - normal * along) * steepness)


def _log_sum_exp(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    kept, _ = _kept(reverse, node)
    total = reverse.aligned(reverse.value(node.output[0]), node.output[0]).reshape(-1, 1, *kept)
    share = reverse.writer.node("Exp", reverse.factor(node.input[0], node.input[0]) - total)
    reverse.accumulate(node.input[0], adjoint.reshape(-1, reverse.scores, *kept) * share)


REDUCTIONS: dict[str, Rule] = {
    **dict.fromkeys(("ReduceSum", "ReduceMean"), _reduced),
    "ReduceLogSumExp": _log_sum_exp,
    "GlobalAveragePool": _global_average,
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    "BatchNormalization": _batch_normalised,
    "LayerNormalization": _layer_normalised,
}
