"""Writes ONNX graphs as formulas: a `Value` is a tensor of the graph, and each operator on it adds a node.

It serves graphs of many small steps, for which torch's exporter of modules would take a quarter of a minute.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, Union

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Operand = Union["Value", float]
Number = Literal["double", "float"]
KINDS = {"double": TensorProto.DOUBLE, "float": TensorProto.FLOAT, "int64": TensorProto.INT64}


class NodeWriter:
    """Writes a part of a graph: nodes and their constants, under names that begin with a prefix.

    Attributes:
        nodes: the nodes, in the order in which they were written.
    """

    def __init__(self, prefix: str, number: Number) -> None:
        """Starts without nodes; plain numbers among operands become float64 (`double`) or float32 (`float`)."""
        self.nodes: list[onnx.NodeProto] = []
        self._prefix = prefix
        self._number = number
        self._constants: dict[str, onnx.TensorProto] = {}

    def value(self, name: str) -> "Value":
        """Returns a tensor that the graph has under this name."""
        return Value(self, name)

    def constant(self, values: NDArray[np.generic] | float, name: str | None = None) -> "Value":
        """Returns a constant of the array's own type; equal constants are stored once, under the first one's name."""
        array = np.asarray(values)
        digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()[:12]
        if digest not in self._constants:
            called = f"{self._prefix}constant_{digest}" if name is None else name
            self._constants[digest] = numpy_helper.from_array(np.ascontiguousarray(array), called)
        return self.value(self._constants[digest].name)

    def integers(self, values: Sequence[int]) -> "Value":
        """Returns a constant of integers, as axes and shapes are given."""
        return self.constant(np.array(values, dtype=np.int64))

    def eye(self, width: int) -> "Value":
        """Returns the (width, width) identity matrix in float32."""
        return self.constant(np.eye(width, dtype=np.float32))

    def node(self, kind: str, *operands: Operand, output: str | None = None, **attributes: Any) -> "Value":
        """Adds a node and returns its one output, which is called `output` where that is given."""
        names = None if output is None else [output]
        return self.outputs(kind, 1, *operands, names=names, **attributes)[0]

    def outputs(
        self, kind: str, count: int, *operands: Operand, names: Sequence[str] | None = None, **attributes: Any
    ) -> list["Value"]:
        """Adds a node and returns its `count` outputs."""
        inputs = [value.name if isinstance(value, Value) else self._scalar(value).name for value in operands]
        own = names or [f"{self._prefix}{kind.lower()}_{len(self.nodes)}_{number}" for number in range(count)]
        self._add(kind, inputs, own, **attributes)
        return [self.value(name) for name in own]

    @property
    def constants(self) -> list[onnx.TensorProto]:
        """Returns the constants that the nodes use."""
        return list(self._constants.values())

    def append_to(self, model: onnx.ModelProto) -> None:
        """Appends the nodes and constants to a model's graph."""
        model.graph.node.extend(self.nodes)
        model.graph.initializer.extend(self.constants)

    def _scalar(self, value: float) -> "Value":
        return self.constant(np.array(value, np.float32 if self._number == "float" else np.float64))

    def _add(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))


class GraphWriter(NodeWriter):
    """Writes a whole graph that computes in float64 (`double`) or float32 (`float`)."""

    def __init__(self, opset: int, number: Number = "double") -> None:
        super().__init__("", number)
        self._opset = opset
        self._inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: str, *shape: int) -> "Value":
        """Declares a (batch, *shape) input of `kind` (`double`, `float`, `int64`), and returns it."""
        self._inputs.append(helper.make_tensor_value_info(name, KINDS[kind], ["batch", *shape]))
        return self.value(name)

    def constant(self, values: NDArray[np.generic] | float, name: str | None = None) -> "Value":
        """Returns a constant; equal constants are stored once, under the first one's name.

        In a float64 graph a float32 array is stored in float32, which keeps the file small, and a Cast node widens it.
        """
        known = len(self._constants)
        stored = super().constant(values, name)
        if self._number == "float" or np.asarray(values).dtype != np.float32:
            return stored
        double = f"double_{stored.name.removeprefix('constant_')}"
        if len(self._constants) > known:
            self._add("Cast", [stored.name], [double], to=TensorProto.DOUBLE)
        return self.value(double)

    def finish(self, outputs: Sequence[tuple[str, "Value", Sequence[int]]]) -> bytes:
        """Returns the checked model's bytes; each output has a name, a value and the shape of one of its rows."""
        self._name_outputs([(name, value) for name, value, _ in outputs])
        described = [
            helper.make_tensor_value_info(name, KINDS[self._number], ["batch", *shape]) for name, _, shape in outputs
        ]
        graph = helper.make_graph(self.nodes, "chainzrule", self._inputs, described, list(self._constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self._opset)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def _name_outputs(self, outputs: Sequence[tuple[str, "Value"]]) -> None:
        """Renames values to the outputs that they are; inputs, constants and second names need an Identity node."""
        made = {value for node in self.nodes for value in node.output}
        names: dict[str, str] = {}
        for name, value in outputs:
            if value.name in made and value.name not in names:
                names[value.name] = name
            else:
                self._add("Identity", [names.get(value.name, value.name)], [name])
        for node in self.nodes:
            for tensors in (node.input, node.output):
                tensors[:] = [names.get(tensor, tensor) for tensor in tensors]


class Value:
    """Stands for a tensor of the graph; operators, method names and broadcasting follow numpy.

    Every operator and method adds nodes to the graph and returns their output.
    """

    def __init__(self, writer: NodeWriter, name: str) -> None:
        self.writer = writer
        self.name = name

    def __add__(self, other: Operand) -> "Value":
        return self.writer.node("Add", self, other)

    def __radd__(self, other: float) -> "Value":
        return self.writer.node("Add", other, self)

    def __sub__(self, other: Operand) -> "Value":
        return self.writer.node("Sub", self, other)

    def __rsub__(self, other: float) -> "Value":
        return self.writer.node("Sub", other, self)

    def __mul__(self, other: Operand) -> "Value":
        return self.writer.node("Mul", self, other)

    def __rmul__(self, other: float) -> "Value":
        return self.writer.node("Mul", other, self)

    def __truediv__(self, other: Operand) -> "Value":
        return self.writer.node("Div", self, other)

    def __matmul__(self, other: "Value") -> "Value":
        return self.writer.node("MatMul", self, other)

    def __neg__(self) -> "Value":
        return self.writer.node("Neg", self)

    def __abs__(self) -> "Value":
        return self.writer.node("Abs", self)

    def relu(self) -> "Value":
        """Returns max(self, 0), elementwise."""
        return self.writer.node("Relu", self)

    def sign(self) -> "Value":
        """Returns -1, 0 or 1, elementwise."""
        return self.writer.node("Sign", self)

    def sqrt(self) -> "Value":
        """Returns the square root, elementwise."""
        return self.writer.node("Sqrt", self)

    def maximum(self, other: Operand) -> "Value":
        """Returns the larger of both, elementwise."""
        return self.writer.node("Max", self, other)

    def minimum(self, other: Operand) -> "Value":
        """Returns the smaller of both, elementwise."""
        return self.writer.node("Min", self, other)

    def cast(self, kind: int) -> "Value":
        """Returns the tensor cast to another element type, one of `TensorProto`'s."""
        return self.writer.node("Cast", self, to=kind)

    def reshape(self, *shape: int) -> "Value":
        """Returns the tensor in another shape, in which one size may be -1."""
        return self.writer.node("Reshape", self, self.writer.integers(shape))

    def sum(self, *axes: int) -> "Value":
        """Returns the sum over axes, which are dropped."""
        return self.writer.node("ReduceSum", self, self.writer.integers(axes), keepdims=0)

    def expand_dims(self, *axes: int) -> "Value":
        """Returns the tensor with new axes of length 1 at these positions of the result."""
        return self.writer.node("Unsqueeze", self, self.writer.integers(axes))

    def matvec(self, vector: "Value") -> "Value":
        """Returns the (batch, m) products of (batch, m, n) matrices with (batch, n) vectors."""
        return self.writer.node("Squeeze", self @ vector.expand_dims(2), self.writer.integers((2,)))

    def batched_matvec(self, vectors: "Value") -> "Value":
        """Returns the (batch, k, m) products of (batch, k, m, n) matrices with (batch, k, n) vectors."""
        return self.writer.node("Squeeze", self @ vectors.expand_dims(3), self.writer.integers((3,)))

    def matrix_transpose(self, rank: int) -> "Value":
        """Returns the tensor, which has `rank` axes, with the last two swapped."""
        order = [*range(rank - 2), rank - 1, rank - 2]
        return self.writer.node("Transpose", self, perm=order)

    def split(self, sections: int) -> list["Value"]:
        """Returns `sections` equal parts along axis 1."""
        return self.writer.outputs("Split", sections, self, axis=1, num_outputs=sections)

    def concatenate(self, other: "Value") -> "Value":
        """Returns both tensors joined along axis 1."""
        return self.writer.node("Concat", self, other, axis=1)

    def take(self, index: "Value") -> "Value":
        """Returns the entries along axis 0 at the places in `index`."""
        return self.writer.node("Gather", self, index, axis=0)

    def take_along_axis(self, index: "Value") -> "Value":
        """Returns (batch, 1), the entry of each row of this (batch, width) tensor at its place in `index` (batch,)."""
        return self.writer.node("GatherElements", self, index.expand_dims(1), axis=1)

    def divide_no_nan(self, denominator: "Value") -> "Value":
        """Returns self / denominator, or 0 where the denominator is 0."""
        zero = self.writer.node("Equal", denominator, 0.0)
        safe = self.writer.node("Where", zero, 1.0, denominator)
        return self.writer.node("Where", zero, 0.0, self / safe)

    def infinite_above(self, limit: float) -> "Value":
        """Returns the tensor with infinity in place of entries above `limit`."""
        return self.writer.node("Where", self.writer.node("Greater", self, limit), np.inf, self)


def total(values: Sequence[Value]) -> Value:
    """Returns the sum of one or more values, added from first to last."""
    result = values[0]
    for value in values[1:]:
        result = result + value
    return result
