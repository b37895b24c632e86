"""Defines the derivative of each operator: what an adjoint of its output adds to the adjoints of its inputs.

A rule refuses a node that it would be wrong for, by an `AdoptionError` that names the operator.
"""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto

from chainzrule.training.adopt.graph import attribute
from chainzrule.training.adopt.reverse import Reverse, Rule
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import Value


def _same(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    if node.op_type == "Cast" and attribute(node, "to") not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        raise AdoptionError("a Cast to another type than float has no derivative")
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
            _require_no_repetition(reverse, node, name)
            reverse.accumulate(name, -adjoint if node.op_type == "Sub" and place == 1 else adjoint)


def _product(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    for name, other in (node.input, reversed(node.input)):
        if reverse.depends(name):
            _require_no_repetition(reverse, node, name)
            factor = reverse.with_score_axis(other) if reverse.depends(other) else reverse.value(other)
            reverse.accumulate(name, adjoint * factor)


def _quotient(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    if reverse.depends(node.input[1]):
        raise AdoptionError("Div by a computed tensor has no derivative here")
    _require_no_repetition(reverse, node, node.input[0])
    reverse.accumulate(node.input[0], adjoint / reverse.value(node.input[1]))


def _matmul(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    if reverse.depends(node.input[1]):
        raise AdoptionError("MatMul of two computed tensors has no derivative here")
    weights = reverse.constant(node.input[1])
    if weights.ndim != 2:
        raise AdoptionError("MatMul with other weights than a matrix has no derivative here")
    reverse.accumulate(node.input[0], adjoint @ reverse.writer.constant(weights.T))


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
    inner, outer = reverse.shape(node.input[0]), reverse.shape(node.output[0])
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
    shape, kernel = reverse.shape(node.input[0]), attribute(node, "kernel_shape")
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
        local = slope(reverse, node).reshape(-1, 1, *reverse.shape(node.input[0]))
        reverse.accumulate(node.input[0], adjoint * local)

    return rule


def _relu(reverse: Reverse, node: onnx.NodeProto) -> Value:
    return _above(reverse, reverse.value(node.input[0]), 0.0)


def _leaky_relu(reverse: Reverse, node: onnx.NodeProto) -> Value:
    leak = float(attribute(node, "alpha", 0.01))
    return _above(reverse, reverse.value(node.input[0]), 0.0) * (1.0 - leak) + leak


def _maximum(reverse: Reverse, node: onnx.NodeProto, adjoint: Value) -> None:
    dependent = [name for name in node.input if reverse.depends(name)]
    if len(node.input) != 2 or len(dependent) != 1:
        raise AdoptionError("Max of two computed tensors has no derivative here")
    (name,) = dependent
    (floor,) = (other for other in node.input if other != name)
    _require_no_repetition(reverse, node, name)
    above = _above(reverse, reverse.value(name), reverse.value(floor))
    reverse.accumulate(name, adjoint * above.reshape(-1, 1, *reverse.shape(name)))


def _above(reverse: Reverse, value: Value, floor: Value | float) -> Value:
    """Returns 1 where a value exceeds `floor`, else 0."""
    return reverse.writer.node("Greater", value, floor).cast(TensorProto.FLOAT)


def _sigmoid(reverse: Reverse, node: onnx.NodeProto) -> Value:
    output = reverse.value(node.output[0])
    return output * (1.0 - output)


def _tanh(reverse: Reverse, node: onnx.NodeProto) -> Value:
    output = reverse.value(node.output[0])
    return 1.0 - output * output


def _exponential(reverse: Reverse, node: onnx.NodeProto) -> Value:
    return reverse.value(node.output[0])


def _logarithm(reverse: Reverse, node: onnx.NodeProto) -> Value:
    return reverse.writer.node("Reciprocal", reverse.value(node.input[0]))


def _softplus(reverse: Reverse, node: onnx.NodeProto) -> Value:
    return reverse.writer.node("Sigmoid", reverse.value(node.input[0]))


def _require_no_repetition(reverse: Reverse, node: onnx.NodeProto, name: str) -> None:
    if reverse.shape(name) != reverse.shape(node.output[0]):
        raise AdoptionError(f"{node.op_type} that repeats a computed tensor has no derivative here")


RULES: dict[str, Rule] = {
    **dict.fromkeys(("Identity", "Cast", "Dropout"), _same),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshaped),
    **dict.fromkeys(("Add", "Sub"), _sum),
    "Neg": _negated,
    "Mul": _product,
    "Div": _quotient,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    "Max": _maximum,
    "Relu": _elementwise(_relu),
    "LeakyRelu": _elementwise(_leaky_relu),
    "Sigmoid": _elementwise(_sigmoid),
    "Tanh": _elementwise(_tanh),
    "Exp": _elementwise(_exponential),
    "Log": _elementwise(_logarithm),
    "Softplus": _elementwise(_softplus),
}
