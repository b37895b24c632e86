"""Defines the derivatives of elementwise functions, each in the shape of its tensor."""

import math
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto

from chainzrule.training.adopt.graph import attribute
from chainzrule.training.adopt.reverse import Reverse
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import Value

Slope = Callable[[Reverse, onnx.NodeProto], Value]


def above(reverse: Reverse, value: Value, floor: Value | float) -> Value:
    """Returns 1 where a value exceeds `floor`, else 0."""
    return reverse.writer.node("Greater", value, floor).cast(TensorProto.FLOAT)


def _relu(reverse: Reverse, node: onnx.NodeProto) -> Value:
    return above(reverse, reverse.value(node.input[0]), 0.0)


def _leaky_relu(reverse: Reverse, node: onnx.NodeProto) -> Value:
    leak = float(attribute(node, "alpha", 0.01))
    return above(reverse, reverse.value(node.input[0]), 0.0) * (1.0 - leak) + leak


def _prelu(reverse: Reverse, node: onnx.NodeProto) -> Value:
    if reverse.varies(node.input[1]):
        raise AdoptionError("PRelu with a computed slope has no derivative here")
    positive, slope = above(reverse, reverse.value(node.input[0]), 0.0), reverse.value(node.input[1])
    return positive + slope * (1.0 - positive)


def _elu(reverse: Reverse, node: onnx.NodeProto) -> Value:
    alpha = float(attribute(node, "alpha", 1.0))
    positive, output = above(reverse, reverse.value(node.input[0]), 0.0), reverse.value(node.output[0])
    return positive + (output + alpha) * (1.0 - positive)


def _selu(reverse: Reverse, node: onnx.NodeProto) -> Value:
    alpha = float(attribute(node, "alpha", 1.6732632423543772))
    gamma = float(attribute(node, "gamma", 1.0507009873554805))
    positive, output = above(reverse, reverse.value(node.input[0]), 0.0), reverse.value(node.output[0])
    return positive * gamma + (output + alpha * gamma) * (1.0 - positive)


def _clip(reverse: Reverse, node: onnx.NodeProto) -> Value:
    inside = None
    value = reverse.value(node.input[0])
    for place, name in enumerate(("min", "max"), start=1):
        limit: Value | float | None = attribute(node, name)
        if len(node.input) > place and node.input[place]:
            limit = reverse.value(node.input[place])
        if limit is None:
            continue
        bound = reverse.writer.constant(np.array(limit, np.float32)) if isinstance(limit, float) else limit
        part = above(reverse, value, bound) if name == "min" else above(reverse, bound, value)
        inside = part if inside is None else inside * part
    return value * 0.0 + 1.0 if inside is None else inside


def _hard_sigmoid(reverse: Reverse, node: onnx.NodeProto) -> Value:
    alpha = float(attribute(node, "alpha", 0.2))
    output = reverse.value(node.output[0])
    return above(reverse, output, 0.0) * above(reverse, 1.0 - output, 0.0) * alpha


def _hard_swish(reverse: Reverse, node: onnx.NodeProto) -> Value:
    value = reverse.value(node.input[0])
    inside = above(reverse, value, -3.0) * above(reverse, -value, -3.0)
    return inside * (value * (1 / 3) + 0.5) + (1.0 - inside) * above(reverse, value, 0.0)


def _sigmoid(reverse: Reverse, node: onnx.NodeProto) -> Value:
    output = reverse.value(node.output[0])
    return output * (1.0 - output)


def _swish(reverse: Reverse, node: onnx.NodeProto) -> Value:
    value = reverse.value(node.input[0]) * float(attribute(node, "alpha", 1.0))
    share = reverse.writer.node("Sigmoid", value)
    return share + value * share * (1.0 - share)


def _mish(reverse: Reverse, node: onnx.NodeProto) -> Value:
    value = reverse.value(node.input[0])
    bent = reverse.writer.node("Tanh", reverse.writer.node("Softplus", value))
    return bent + value * reverse.writer.node("Sigmoid", value) * (1.0 - bent * bent)


def _gelu(reverse: Reverse, node: onnx.NodeProto) -> Value:
    value, writer = reverse.value(node.input[0]), reverse.writer
    if attribute(node, "approximate", b"none") == b"tanh":
        square = value * value
        bent = writer.node("Tanh", value * (square * 0.044715 + 1.0) * math.sqrt(2 / math.pi))
        inner = (square * (3 * 0.044715) + 1.0) * math.sqrt(2 / math.pi)
        return (bent + 1.0) * 0.5 + value * (1.0 - bent * bent) * inner * 0.5
    below = (writer.node("Erf", value * math.sqrt(0.5)) + 1.0) * 0.5
    density = writer.node("Exp", value * value * -0.5) * (1 / math.sqrt(2 * math.pi))
    return below + value * density


def _erf(reverse: Reverse, node: onnx.NodeProto) -> Value:
    value = reverse.value(node.input[0])
    return reverse.writer.node("Exp", -(value * value)) * (2 / math.sqrt(math.pi))


def _tanh(reverse: Reverse, node: onnx.NodeProto) -> Value:
    output = reverse.value(node.output[0])
    return 1.0 - output * output


def _exponential(reverse: Reverse, node: onnx.NodeProto) -> Value:
    return reverse.value(node.output[0])


def _logarithm(reverse: Reverse, node: onnx.NodeProto) -> Value:
    return reverse.writer.node("Reciprocal", reverse.value(node.input[0]))


def _softplus(reverse: Reverse, node: onnx.NodeProto) -> Value:
    return reverse.writer.node("Sigmoid", reverse.value(node.input[0]))


def _root(reverse: Reverse, node: onnx.NodeProto) -> Value:
    return reverse.writer.node("Reciprocal", reverse.value(node.output[0])) * 0.5


def _reciprocal(reverse: Reverse, node: onnx.NodeProto) -> Value:
    output = reverse.value(node.output[0])
    return -(output * output)


def _absolute(reverse: Reverse, node: onnx.NodeProto) -> Value:
    return reverse.value(node.input[0]).sign()


def _power(reverse: Reverse, node: onnx.NodeProto) -> Value:
    if reverse.varies(node.input[1]):
        raise AdoptionError("Pow with a computed exponent has no derivative here")
    exponent = np.asarray(reverse.constant(node.input[1]), np.float32)
    value = reverse.value(node.input[0])
    if (exponent == 2).all():
        return value * 2.0
    factor, lower = (reverse.writer.constant(part) for part in (exponent, exponent - np.float32(1)))
    return reverse.writer.node("Pow", value, lower) * factor


def _softsign(reverse: Reverse, node: onnx.NodeProto) -> Value:
    share = reverse.writer.node("Reciprocal", abs(reverse.value(node.input[0])) + 1.0)
    return share * share


SLOPES: dict[str, Slope] = {
    "Relu": _relu,
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "Elu": _elu,
    "Selu": _selu,
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Sigmoid": _sigmoid,
    "Swish": _swish,
    "Mish": _mish,
    "Gelu": _gelu,
    "Erf": _erf,
    "Tanh": _tanh,
    "Exp": _exponential,
    "Log": _logarithm,
    "Softplus": _softplus,
    "Sqrt": _root,
    "Reciprocal": _reciprocal,
    "Abs": _absolute,
    "Pow": _power,
    "Softsign": _softsign,
}
