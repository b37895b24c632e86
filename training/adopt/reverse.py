"""Differentiates an ONNX graph in reverse mode; the derivative is written as further nodes of the graph.

An adjoint has the shape of its tensor with the scores as a second dimension, (batch, S, ...), so that all scores go
through the graph at once. Only the features and what depends on them have one; all else is constant.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from chainzrule.training.adopt.front import INPUT
from chainzrule.training.adopt.graph import attribute, opset
from chainzrule.training.adopt.layout import Layout, layouts
from chainzrule.training.adopt.observed import observe
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import NodeWriter, Value

# What these give jumps, so that its derivative is 0 where no noise moves it, and means nothing elsewhere.
STEPS = frozenset(("ArgMax", "ArgMin", "OneHotEncoder", "LabelEncoder", "OneHot", "Floor", "Ceil", "Round", "Sign"))
# These choose between branches, which may well meet where one follows on the other: that is tried on the sample.
COMPARISONS = frozenset(("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "Not", "And", "Or", "IsNaN"))
SIZES = frozenset(("Shape", "Size", "ConstantOfShape"))
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)

Shape = tuple[int, ...]
Rule = Callable[["Reverse", onnx.NodeProto, Value], None]


def is_step(node: onnx.NodeProto) -> bool:
    """Returns whether what a node gives jumps from one value to the next."""
    return node.op_type in STEPS or (node.op_type == "Cast" and attribute(node, "to") not in FLOATS)


class Reverse:
    """Walks back through a graph, from one of its tensors to the features, and collects adjoints.

    Attributes:
        writer: takes the derivative's nodes.
        scores: the number of scores, S.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        writer: NodeWriter,
        output: str,
        seed: NDArray[np.float32],
        noise: NDArray[np.floating],
    ) -> None:
        """Starts at `output` (batch, K) with `seed` (S, K), the derivative of the scores with respect to it.

        Columns without `noise`, (D,), may go through operators whose output jumps, such as encoders.
        """
        self.writer = writer
        self.scores = len(seed)
        self.opset = opset(model)
        self._nodes = list(model.graph.node)
        observed = observe(model, noise)
        self._layouts = layouts(self._nodes, observed.shapes, INPUT)
        self._constants = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
        self._dependent, self._varying = {INPUT}, {INPUT}
        for node in self._nodes:
            if self._varying & set(node.input):
                self._varying |= set(node.output)
            if node.op_type in COMPARISONS | SIZES:
                continue
            moved = [name for name in node.input if name in self._varying and name not in observed.still]
            if self._dependent & set(node.input) and (moved or not is_step(node)):
                self._dependent |= set(node.output)
        steady = {name: value for name, value in observed.steady.items() if name not in self._varying}
        self._constants |= steady
        # The seed is added to zeros made from the output, which repeats it for every row of the batch.
        zeros = self.value(output).reshape(-1, 1, seed.shape[1]) * 0.0
        self._adjoints = {output: zeros + writer.constant(seed[None])}

    def run(self, rules: Mapping[str, Rule]) -> Value:
        """Returns the (batch, S, D) derivative of the scores with respect to the features.

        Args:
            rules: by operator, what gives the adjoint of a node's first output to its inputs.

        Raises:
            AdoptionError: an operator has no rule, or its rule does not hold for this node.
        """
        for node in reversed(self._nodes):
            reached = [name for name in node.output if name in self._adjoints]
            if not reached or not self._dependent & set(node.input):
                continue
            rule = rules.get(node.op_type) if node.domain in ("", "ai.onnx", "ai.onnx.ml") else None
            if rule is None or reached != node.output[:1] or is_step(node):
                raise AdoptionError(f"operator {node.op_type} has no derivative here")
            rule(self, node, self._adjoints[node.output[0]])
        if INPUT not in self._adjoints:
            raise AdoptionError("the model's answer does not depend on its input, or only in steps")
        return self._adjoints[INPUT]

    def accumulate(self, name: str, adjoint: Value) -> None:
        """Adds a term to a tensor's adjoint."""
        known = self._adjoints.get(name)
        self._adjoints[name] = adjoint if known is None else known + adjoint

    def depends(self, name: str) -> bool:
        """Returns whether a tensor depends on the features."""
        return name in self._dependent

    def varies(self, name: str) -> bool:
        """Returns whether a tensor has a row for each row of the features, even if it changes only in steps."""
        return name in self._varying

    def value(self, name: str) -> Value:
        """Returns the tensor of the graph that has this name."""
        return self.writer.value(name)

    def aligned(self, value: Value, name: str) -> Value:
        """Returns a value of the shape of the tensor `name` as (batch, 1, ...), as adjoints are laid out."""
        layout = self.layout(name)
        if layout.axis or layout.before > 1:
            ahead, after = layout.sizes[: layout.axis], layout.sizes[layout.axis + 1 :]
            apart = value.reshape(*ahead, layout.before, -1, layout.behind, *after)
            rows = len(ahead) + 1
            order = [rows, *(axis for axis in range(len(ahead) + 3 + len(after)) if axis != rows)]
            value = self.writer.node("Transpose", apart, perm=order)
        return value.reshape(-1, 1, *layout.rest)

    def factor(self, name: str, output: str) -> Value:
        """Returns a tensor as it is multiplied with an adjoint of `output`."""
        if name in self._varying:
            if self.layout(name).axis - len(self.layout(name).sizes) != self.layout(output).axis - len(
                self.layout(output).sizes
            ):
                raise AdoptionError("rows that lie in different axes have no derivative here")
            return self.aligned(self.value(name), name)
        layout = self.layout(output)
        if layout.is_plain:
            return self.value(name)
        values = self.constant(name)
        if values.ndim <= len(layout.sizes) - 1 - layout.axis:
            return self.value(name)
        values = values.reshape((1,) * (len(layout.sizes) - values.ndim) + values.shape)
        if values.shape[layout.axis] != 1:
            raise AdoptionError("a constant along the rows of the batch has no derivative here")
        sizes = (*values.shape[: layout.axis], *(1 for _ in layout.merged), *values.shape[layout.axis + 1 :])
        return self.writer.constant(values.reshape(sizes))

    def summed(self, value: Value, axes: Sequence[int]) -> Value:
        """Returns the sum over axes, which stay with length 1."""
        if self.opset < 13:
            return self.writer.node("ReduceSum", value, axes=list(axes), keepdims=1)
        return self.writer.node("ReduceSum", value, self.writer.integers(axes), keepdims=1)

    def gathered(self, adjoint: Value, name: str, output: str) -> Value:
        """Returns an adjoint of `output` for the tensor `name`, summed over the axes along which that was repeated.

        Raises:
            AdoptionError: the tensor was repeated along the batch.
        """
        own, whole = self.shape(name), self.shape(output)
        if own == whole:
            return adjoint
        if len(own) != len(whole):
            raise AdoptionError("a computed tensor that is repeated for every row has no derivative here")
        axes = [axis + 2 for axis, sizes in enumerate(zip(own, whole, strict=True)) if sizes[0] != sizes[1]]
        return self.summed(adjoint, axes).reshape(-1, self.scores, *own)

    def constant(self, name: str) -> NDArray[np.generic]:
        """Returns a constant's values; raises `AdoptionError` where the tensor is computed."""
        if name not in self._constants:
            raise AdoptionError("a tensor that is computed stands where a constant is expected")
        return self._constants[name]

    def layout(self, name: str) -> Layout:
        """Returns where a tensor has its rows; raises `AdoptionError` where it has not one for each of the input's."""
        if name not in self._layouts:
            raise AdoptionError("a tensor inside the graph does not have one row for each row of the input")
        return self._layouts[name]

    def shape(self, name: str) -> Shape:
        """Returns a tensor's shape without the batch."""
        return self.layout(name).rest

    def plain_shape(self, name: str) -> Shape:
        """Returns the same; raises `AdoptionError` where the batch is not the first axis, by itself."""
        if not self.layout(name).is_plain:
            raise AdoptionError("an operator on a tensor whose first axis is not the batch has no derivative here")
        return self.shape(name)
