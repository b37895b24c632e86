"""The exact Jacobian of an ONNX graph, as an ONNX graph: reverse mode, one rule an operator.

An adjoint has the shape of its tensor with the scores as a second dimension, (batch, S, ...), so that all scores go
through the graph at once. Only the features and what depends on them have one; all else is constant.
"""

from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from chainzrule.training.adopt.source import INPUT, Builder, attribute
from chainzrule.training.errors import AdoptionError

Shape = tuple[int, ...]


class Reverse:
    """Goes back through a graph from one tensor, and adds the derivative's nodes to `build`."""

    def __init__(self, build: Builder, output: str, seed: NDArray[np.floating]) -> None:
        """Start at `output` (batch, K) with `seed` (S, K), the derivative of the S scores with respect to it."""
        model = build.model
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        self.build = build
        self.shapes = {
            value.name: tuple(int(dim.dim_value) for dim in value.type.tensor_type.shape.dim[1:])
            for value in (*inferred.value_info, *inferred.input, *inferred.output)
        }
        self.constants = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
        self.constants |= {
            node.output[0]: numpy_helper.to_array(attribute(node, "value"))
            for node in model.graph.node
            if node.op_type == "Constant" and attribute(node, "value") is not None
        }
        self.scores = len(seed)
        self._adjoints: dict[str, str] = {}
        # Against a row of ones, so that there is one for every row of the batch.
        zero = build.add("Mul", [build.reshape(output, -1, 1, seed.shape[1]), build.constant(0.0)])
        self.give(output, build.add("Add", [zero, build.constant(seed[None])]))
        active = {INPUT}
        for node in model.graph.node:
            if active & set(node.input):
                active |= set(node.output)
        self._active = active

    def run(self) -> str:
        """The name of the derivative with respect to the features, (batch, S, D)."""
        for node in reversed(list(self.build.model.graph.node)):
            if node.output and node.output[0] in self._adjoints and self._active & set(node.input):
                rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
                if rule is None:
                    raise AdoptionError(f"operator {node.op_type} has no derivative here")
                rule(self, node, self._adjoints[node.output[0]])
        return self._adjoints[INPUT]

    def give(self, name: str, adjoint: str) -> None:
        """Add to a tensor's adjoint."""
        known = self._adjoints.get(name)
        self._adjoints[name] = adjoint if known is None else self.build.add("Add", [known, adjoint])

    def active(self, name: str) -> bool:
        """Whether a tensor depends on the features."""
        return name in self._active

    def constant(self, name: str) -> NDArray[np.generic]:
        """A constant's value."""
        if name not in self.constants:
            raise AdoptionError("a tensor that is computed stands where a constant is expected")
        return self.constants[name]

    def shape(self, name: str) -> Shape:
        """A tensor's shape behind the batch."""
        shape = self.shapes.get(name)
        if shape is None or any(size < 1 for size in shape):
            raise AdoptionError("the size of a tensor inside the graph is not known beforehand")
        return shape

    def beside(self, name: str) -> str:
        """A tensor, (batch, 1, ...), to be multiplied with its adjoint."""
        return self.build.reshape(name, -1, 1, *self.shape(name))


Rule = Callable[[Reverse, onnx.NodeProto, str], None]


def _same(reverse: Reverse, node: onnx.NodeProto, adjoint: str) -> None:
    if node.op_type == "Cast" and attribute(node, "to") not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        raise AdoptionError("a Cast to another type than float has no derivative")
    reverse.give(node.input[0], adjoint)


def _reshaped(reverse: Reverse, node: onnx.NodeProto, adjoint: str) -> None:
    shape = reverse.shape(node.input[0])
    if np.prod(shape) != np.prod(reverse.shape(node.output[0])):
        raise AdoptionError(f"a {node.op_type} across rows of the batch has no derivative here")
    reverse.give(node.input[0], reverse.build.reshape(adjoint, -1, reverse.scores, *shape))


def _sum(reverse: Reverse, node: onnx.NodeProto, adjoint: str) -> None:
    for place, name in enumerate(node.input):
        if not reverse.active(name):
            continue
        if reverse.shape(name) != reverse.shape(node.output[0]):
            raise AdoptionError(f"{node.op_type} that repeats a computed tensor has no derivative here")
        minus = node.op_type == "Sub" and place == 1
        reverse.give(name, reverse.build.add("Neg", [adjoint]) if minus else adjoint)


def _product(reverse: Reverse, node: onnx.NodeProto, adjoint: str) -> None:
    for name, other in (node.input, reversed(node.input)):
        if not reverse.active(name):
            continue
        if reverse.shape(name) != reverse.shape(node.output[0]):
            raise AdoptionError("Mul that repeats a computed tensor has no derivative here")
        if reverse.active(other):
            reverse.give(name, reverse.build.add("Mul", [adjoint, reverse.beside(other)]))
        else:
            reverse.give(name, reverse.build.add("Mul", [adjoint, other]))


def _quotient(reverse: Reverse, node: onnx.NodeProto, adjoint: str) -> None:
    if reverse.active(node.input[1]) or reverse.shape(node.input[0]) != reverse.shape(node.output[0]):
        raise AdoptionError("Div by a computed tensor has no derivative here")
    reverse.give(node.input[0], reverse.build.add("Div", [adjoint, node.input[1]]))


def _matmul(reverse: Reverse, node: onnx.NodeProto, adjoint: str) -> None:
    weights = reverse.constant(node.input[1])
    if reverse.active(node.input[1]) or weights.ndim != 2:
        raise AdoptionError("MatMul of two computed tensors has no derivative here")
    _through(reverse, node, adjoint, weights.T)


def _gemm(reverse: Reverse, node: onnx.NodeProto, adjoint: str) -> None:
    if reverse.active(node.input[1]) or attribute(node, "transA", 0):
        raise AdoptionError("Gemm of two computed tensors has no derivative here")
    weights = reverse.constant(node.input[1])
    back = weights if attribute(node, "transB", 0) else weights.T
    _through(reverse, node, adjoint, attribute(node, "alpha", 1.0) * back)


def _through(reverse: Reverse, node: onnx.NodeProto, adjoint: str, back: NDArray[np.generic]) -> None:
    constant = reverse.build.constant(back, back.dtype)
    reverse.give(node.input[0], reverse.build.add("MatMul", [adjoint, constant]))


def _conv(reverse: Reverse, node: onnx.NodeProto, adjoint: str) -> None:
    """The adjoint of a convolution is a transposed one, for every score by itself."""
    inner, outer = reverse.shape(node.input[0]), reverse.shape(node.output[0])
    axes = len(inner) - 1
    kernel = reverse.constant(node.input[1]).shape[2:]
    strides, dilations = (attribute(node, name, [1] * axes) for name in ("strides", "dilations"))
    pads = attribute(node, "pads", [0] * 2 * axes)
    if attribute(node, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise AdoptionError("Conv with auto_pad has no derivative here")
    reached = [
        strides[axis] * (outer[axis + 1] - 1)
        + dilations[axis] * (kernel[axis] - 1)
        + 1
        - pads[axis]
        - pads[axes + axis]
        for axis in range(axes)
    ]
    flat = reverse.build.reshape(adjoint, -1, *outer)
    back = reverse.build.add(
        "ConvTranspose",
        [flat, node.input[1]],
        strides=strides,
        dilations=dilations,
        pads=pads,
        group=attribute(node, "group", 1),
        output_padding=[size - found for size, found in zip(inner[1:], reached, strict=True)],
    )
    reverse.give(node.input[0], reverse.build.reshape(back, -1, reverse.scores, *inner))


def _pool(reverse: Reverse, node: onnx.NodeProto, adjoint: str) -> None:
    """Windows that tile the image: the largest value's places take equal parts of the adjoint, or all places do."""
    build, (channels, height, width) = reverse.build, reverse.shape(node.input[0])
    kernel = attribute(node, "kernel_shape")
    tiles = attribute(node, "strides", [1, 1]) == kernel and not any(attribute(node, "pads", [0]))
    if len(kernel) != 2 or not tiles or height % kernel[0] or width % kernel[1]:
        raise AdoptionError(f"{node.op_type} whose windows overlap or overhang has no derivative here")
    rows, columns = height // kernel[0], width // kernel[1]
    spread = build.reshape(adjoint, -1, reverse.scores, channels, rows, 1, columns, 1)
    if node.op_type == "AveragePool":
        share = build.constant(np.full((kernel[0], 1, kernel[1]), 1.0 / np.prod(kernel)))
    else:
        tiled = build.reshape(node.input[0], -1, 1, channels, rows, kernel[0], columns, kernel[1])
        largest = build.reshape(node.output[0], -1, 1, channels, rows, 1, columns, 1)
        # Nothing in a window exceeds its largest.
        below = build.add("Less", [tiled, largest])
        most = build.add("Cast", [build.add("Not", [below])], to=TensorProto.FLOAT)
        image = build.reshape(most, -1, channels, height, width)
        mean = build.add("AveragePool", [image], kernel_shape=kernel, strides=kernel)
        tied = build.add("Mul", [mean, build.constant(float(np.prod(kernel)))])
        share = build.add("Div", [most, build.reshape(tied, -1, 1, channels, rows, 1, columns, 1)])
    back = build.add("Mul", [spread, share])
    reverse.give(node.input[0], build.reshape(back, -1, reverse.scores, channels, height, width))


def _elementwise(slope: Callable[[Reverse, onnx.NodeProto], str]) -> Rule:
    """A rule from a function's slope, which it gives in the shape of its tensor."""

    def rule(reverse: Reverse, node: onnx.NodeProto, adjoint: str) -> None:
        beside = reverse.build.reshape(slope(reverse, node), -1, 1, *reverse.shape(node.input[0]))
        reverse.give(node.input[0], reverse.build.add("Mul", [adjoint, beside]))

    return rule


def _relu(reverse: Reverse, node: onnx.NodeProto) -> str:
    positive = reverse.build.add("Greater", [node.input[0], reverse.build.constant(0.0)])
    one = reverse.build.add("Cast", [positive], to=TensorProto.FLOAT)
    if node.op_type == "Relu":
        return one
    leak = float(attribute(node, "alpha", 0.01))
    scaled = reverse.build.add("Mul", [one, reverse.build.constant(1.0 - leak)])
    return reverse.build.add("Add", [scaled, reverse.build.constant(leak)])


def _floored(reverse: Reverse, node: onnx.NodeProto) -> str:
    floors = [name for name in node.input if not reverse.active(name)]
    if len(node.input) != 2 or node.input[1:] != floors:
        raise AdoptionError("Max of two computed tensors has no derivative here")
    return reverse.build.add("Cast", [reverse.build.add("Greater", node.input)], to=TensorProto.FLOAT)


def _sigmoid(reverse: Reverse, node: onnx.NodeProto) -> str:
    rest = reverse.build.add("Sub", [reverse.build.constant(1.0), node.output[0]])
    return reverse.build.add("Mul", [node.output[0], rest])


def _tanh(reverse: Reverse, node: onnx.NodeProto) -> str:
    square = reverse.build.add("Mul", [node.output[0], node.output[0]])
    return reverse.build.add("Sub", [reverse.build.constant(1.0), square])


RULES: dict[str, Rule] = {
    **dict.fromkeys(("Identity", "Cast", "Dropout"), _same),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshaped),
    **dict.fromkeys(("Add", "Sub"), _sum),
    "Mul": _product,
    "Div": _quotient,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("Relu", "LeakyRelu"), _elementwise(_relu)),
    "Max": _elementwise(_floored),
    "Sigmoid": _elementwise(_sigmoid),
    "Tanh": _elementwise(_tanh),
    "Neg": lambda reverse, node, adjoint: reverse.give(node.input[0], reverse.build.add("Neg", [adjoint])),
    "Exp": _elementwise(lambda reverse, node: node.output[0]),
    "Log": _elementwise(lambda reverse, node: reverse.build.add("Reciprocal", [node.input[0]])),
    "Softplus": _elementwise(lambda reverse, node: reverse.build.add("Sigmoid", [node.input[0]])),
}


def derivative_graphs(
    scores: onnx.ModelProto, noise: NDArray[np.floating], outputs: list[onnx.ValueInfoProto]
) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """From the graph of `scores` (and `probabilities`), the model graph with the covariance and the Jacobian's graph.

    Raises:
        AdoptionError: names the operator that has no derivative here.
    """
    found = []
    S = next(value.type.tensor_type.shape.dim[1].dim_value for value in outputs if value.name == "scores")
    for role in ("model", "jacobian"):
        model = onnx.ModelProto()
        model.CopyFrom(scores)
        build = Builder(model, "derivative")
        jacobian = Reverse(build, "scores", np.eye(S)).run()
        noisy = build.add("Mul", [jacobian, build.constant(noise)])
        if role == "model":
            transposed = build.add("Transpose", [noisy], perm=[0, 2, 1])
            build.add("MatMul", [noisy, transposed], "covariance")
            wanted = [*outputs, _tensor("covariance", S, S)]
        else:
            build.add("Identity", [jacobian], "jacobian")
            flat = build.reshape(noisy, -1, S * len(noise))
            square = build.add("Mul", [flat, flat])
            total = build.add("MatMul", [square, build.constant(np.ones((S * len(noise), 1)))])
            build.add("Sqrt", [total], "layer_norms")
            wanted = [_tensor("jacobian", S, len(noise)), _tensor("layer_norms", 1)]
        model.graph.node.extend(build.nodes)
        del model.graph.output[:]
        model.graph.output.extend(wanted)
        found.append(model)
    return found[0], found[1]


def _tensor(name: str, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
