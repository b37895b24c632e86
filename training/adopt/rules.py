"""Defines the derivative of each operator: what an adjoint of its output adds to the adjoints of its inputs.

A rule refuses a node that it would be wrong for, by an `AdoptionError` that names the operator.
"""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto

from chainzrule.training.adopt.graph import attribute
from chainzrule.training.adopt.reductions import REDUCTIONS
from chainzrule.training.adopt.reverse import Reverse, Rule
from chainzrule.training.adopt.selections import SELECTIONS
from chainzrule.training.adopt.slopes import SLOPES, above
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import Value


def _same(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    reverse.accumulate(node.input[0], adjoint)


def _negated(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    reverse.accumulate(node.input[0], -adjoint)


def _reshaped(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    shape = reverse.shape(node.input[0])
    if np.prod(shape) != np.prod(reverse.shape(node.output[0])):
        raise AdoptionError(f"a {node.op_type} across rows of the batch has no derivative here")
    reverse.accumulate(node.input[0], adjoint.reshape(-1, reverse.scores, *shape))


def _sum(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    for place, name in enumerate(node.input):
        if reverse.depends(name):
            own = reverse.gathered(adjoint, name, node.output[0])
            reverse.accumulate(name, -own if node.op_type == "Sub" and place == 1 else own)


def _product(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    for name, other in (node.input, reversed(node.input)):
        if reverse.depends(name):
            own = reverse.gathered(adjoint * reverse.factor(other, node.output[0]), name, node.output[0])
            reverse.accumulate(name, own)


def _quotient(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    above, below = node.input
    share = adjoint / reverse.factor(below, node.output[0])
    if reverse.depends(above):
        reverse.accumulate(above, reverse.gathered(share, above, node.output[0]))
    if reverse.depends(below):
        own = -(share * reverse.factor(node.output[0], node.output[0]))
        reverse.accumulate(below, reverse.gathered(own, below, node.output[0]))


def _matmul(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    left, right = node.input
    if not reverse.varies(right):
        weights = reverse.constant(right)
        if reverse.layout(left).axis == len(reverse.layout(left).sizes) - 1:
            raise AdoptionError("MatMul across rows of the batch has no derivative here")
        if weights.ndim == 1:
            spread = adjoint.reshape(-1, reverse.scores, *reverse.shape(node.output[0]), 1)
            reverse.accumulate(left, spread * reverse.writer.constant(weights))
            return
        if weights.ndim > 2 and reverse.shape(left)[:-1] != reverse.shape(node.output[0])[:-1]:
            raise AdoptionError("MatMul with other weights than a matrix has no derivative here")
        reverse.accumulate(left, adjoint @ reverse.writer.constant(np.swapaxes(weights, -1, -2)))
        return
    if not reverse.varies(left):
        weights = reverse.constant(left)
        if (
            len(reverse.shape(right)) < 2
            or weights.ndim != 2
            or reverse.layout(right).axis >= len(reverse.shape(right)) - 1
        ):
            raise AdoptionError("MatMul across rows of the batch has no derivative here")
        reverse.accumulate(right, reverse.writer.constant(weights.T) @ adjoint)
        return
    first, second = reverse.shape(left), reverse.shape(right)
    apart = all(one.axis < len(one.sizes) - 2 for one in (reverse.layout(left), reverse.layout(right)))
    if not apart or len(first) != len(second) or len(first) < 2 or first[:-2] != second[:-2]:
        raise AdoptionError("MatMul of two computed tensors of unlike shapes has no derivative here")
    rank = len(first) + 2
    if reverse.depends(left):
        reverse.accumulate(left, adjoint @ reverse.factor(right, right).matrix_transpose(rank))
    if reverse.depends(right):
        reverse.accumulate(right, reverse.factor(left, left).matrix_transpose(rank) @ adjoint)


def _gemm(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    if any(map(reverse.depends, node.input[1:])) or attribute(node, "transA", 0):
        raise AdoptionError("Gemm of two computed tensors has no derivative here")
    weights = reverse.constant(node.input[1])
    back = weights if attribute(node, "transB", 0) else weights.T
    scaled = np.asarray(attribute(node, "alpha", 1.0) * back, weights.dtype)
    reverse.accumulate(node.input[0], adjoint @ reverse.writer.constant(scaled))


def _conv(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    """Computes the adjoint of a convolution as a transposed convolution, for every score separately."""
    if any(map(reverse.depends, node.input[1:])):
        raise AdoptionError("Conv with computed weights has no derivative here")
    if attribute(node, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise AdoptionError("Conv with auto_pad has no derivative here")
    inner, outer = reverse.plain_shape(node.input[0]), reverse.plain_shape(node.output[0])
    axes = len(inner) - 1
    kernel = reverse.constant(node.input[1]).shape[2:]
    strides, dilations = (attribute(node, name, [1] * axes) for name in ("strides", "dilations"))
    pads = attribute(node, "pads", [0] * 2 * axes)
    reached = [
        strides[axis] * (outer[axis + 1] - 1)
        + dilations[axis] * (kernel[axis] - 1)
        + 1
        - pads[axis]
        - pads[axes + axis]
        for axis in range(axes)
    ]
    back = reverse.writer.node(
        "ConvTranspose",
        adjoint.reshape(-1, *outer),
        reverse.value(node.input[1]),
        strides=strides,
        dilations=dilations,
        pads=pads,
        group=attribute(node, "group", 1),
        output_padding=[size - found for size, found in zip(inner[1:], reached, strict=True)],
    )
    reverse.accumulate(node.input[0], back.reshape(-1, reverse.scores, *inner))


def _pool(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    """Distributes the adjoint over each window: equally over ties of the maximum, or over all places of an average."""
    shape, kernel = reverse.plain_shape(node.input[0]), attribute(node, "kernel_shape")
    if len(shape) != 3:
        raise AdoptionError(f"{node.op_type} of anything but images has no derivative here")
    channels, height, width = shape
    tiles = attribute(node, "strides", [1, 1]) == kernel and attribute(node, "dilations", [1, 1]) == [1, 1]
    if not tiles or any(attribute(node, "pads", [0])) or height % kernel[0] or width % kernel[1]:
        raise AdoptionError(f"{node.op_type} whose windows overlap or overhang has no derivative here")
    rows, columns = height // kernel[0], width // kernel[1]
    spread = adjoint.reshape(-1, reverse.scores, channels, rows, 1, columns, 1)
    if node.op_type == "AveragePool":
        share = reverse.writer.constant(np.full((kernel[0], 1, kernel[1]), 1.0 / np.prod(kernel), np.float32))
    else:
        tiled = reverse.value(node.input[0]).reshape(-1, 1, channels, rows, kernel[0], columns, kernel[1])
        largest = reverse.value(node.output[0]).reshape(-1, 1, channels, rows, 1, columns, 1)
        # No value of a window exceeds its maximum, so "not less" means equal.
        is_largest = reverse.writer.node("Not", reverse.writer.node("Less", tiled, largest)).cast(TensorProto.FLOAT)
        image = is_largest.reshape(-1, channels, height, width)
        mean = reverse.writer.node("AveragePool", image, kernel_shape=kernel, strides=kernel)
        tied = mean * float(np.prod(kernel))
        share = is_largest / tied.reshape(-1, 1, channels, rows, 1, columns, 1)
    back = spread * share
    reverse.accumulate(node.input[0], back.reshape(-1, reverse.scores, channels, height, width))


def _elementwise(slope: Callable[[Reverse, onnx.NodeProto], Value]) -> Rule:
    """Returns the rule of an elementwise function, from its derivative in the shape of its tensor."""

    def rule(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
        local = reverse.aligned(slope(reverse, node), node.input[0])
        reverse.accumulate(node.input[0], adjoint * local)

    return rule


def _extreme(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    """Gives the adjoint of the larger or the smaller of a computed tensor and a constant to where the tensor is it."""
    dependent = [name for name in node.input if reverse.depends(name)]
    if len(node.input) != 2 or len(dependent) != 1:
        raise AdoptionError(f"{node.op_type} of two computed tensors has no derivative here")
    (name,) = dependent
    (limit,) = (other for other in node.input if other != name)
    operands = (reverse.value(name), reverse.value(limit))
    chosen = above(reverse, *(operands if node.op_type == "Max" else operands[::-1]))
    mask = reverse.aligned(chosen, node.output[0])
    reverse.accumulate(name, reverse.gathered(adjoint * mask, name, node.output[0]))


RULES: dict[str, Rule] = {
    **dict.fromkeys(("Identity", "Cast", "Dropout"), _same),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshaped),
    **dict.fromkeys(("Add", "Sub", "Sum"), _sum),
    "Neg": _negated,
    "Mul": _product,
    "Div": _quotient,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("Max", "Min"), _extreme),
    **SELECTIONS,
    **REDUCTIONS,
    **{name: _elementwise(slope) for name, slope in SLOPES.items()},
}
