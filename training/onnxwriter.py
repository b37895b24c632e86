"""ONNX graphs written as formulas: values with operators, of which each is a node.

For graphs of many small steps: the exporter of modules takes a quarter of a minute over what is written here at once.
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
    """Writes nodes and their constants, under names that begin with a prefix: a part of a graph.

    Attributes:
        nodes: the nodes, in the order in which they were written.
    """

    def __init__(self, prefix: str, number: Number) -> None:
        """Starts with nothing; plain numbers among the operands become float64 (`double`) or float32 (`float`)."""
        self.nodes: list[onnx.NodeProto] = []
        self._prefix = prefix
        self._number = number
        self._constants: dict[str, onnx.TensorProto] = {}

    def value(self, name: str) -> "Value":
        """Returns a tensor that the graph has under this name."""
        return Value(self, name)

    def constant(self, values: NDArray[np.generic] | float, name: str | None = None) -> "Value":
        """Returns a constant of the array's own type; equal ones are kept once, under the first's name."""
        array = np.asarray(values)
        digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()[:12]
        if digest not in self._constants:
            called = f"{self._prefix}constant_{digest}" if name is None else name
            self._constants[digest] = numpy_helper.from_array(np.ascontiguousarray(array), called)
        return self.value(self._constants[digest].name)

    def eye(self, width: int) -> "Value":
        """Returns (width, width) the identity, in float32."""
        return self.constant(np.eye(width, dtype=np.float32))

    def node(self, kind: str, *operands: Operand, output: str | None = None, **attributes: Any) -> "Value":
        """Returns the output of a new node, under the name `output` where one is given."""
        names = None if output is None else [output]
        return self.outputs(kind, 1, *operands, names=names, **attributes)[0]

    def outputs(
        self, kind: str, count: int, *operands: Operand, names: Sequence[str] | None = None, **attributes: Any
    ) -> list["Value"]:
        """Returns the `count` outputs of a new node."""
        inputs = [value.name if isinstance(value, Value) else self._scalar(value).name for value in operands]
        own = names or [f"{self._prefix}{kind.lower()}_{len(self.nodes)}_{number}" for number in range(count)]
        self._add(kind, inputs, own, **attributes)
        return [self.value(name) for name in own]

    def append_to(self, model: onnx.ModelProto) -> None:
        """Adds what was written at the end of a graph."""
        model.graph.node.extend(self.nodes)
        model.graph.initializer.extend(self._constants.values())

    def _scalar(self, value: float) -> "Value":
        return self.constant(np.array(value, np.float32 if self._number == "float" else np.float64))

    def _add(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))


class GraphWriter(NodeWriter):
    """Writes a whole graph, whose numbers are float64 (`double`) or float32 (`float`)."""

    def __init__(self, opset: int, number: Number = "double") -> None:
        super().__init__("", number)
        self._opset = opset
        self._inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: str, *shape: int) -> "Value":
        """Declares an input of `kind` (`double`, `float`, `int64`), a batch of tensors of this shape."""
        self._inputs.append(helper.make_tensor_value_info(name, KINDS[kind], ["batch", *shape]))
        return self.value(name)

    def constant(self, values: NDArray[np.generic] | float, name: str | None = None) -> "Value":
        """Returns a constant; equal ones are kept once, under the first's name.

        In a graph of float64, float32 stays so in the file and is cast when it is loaded.
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
        """Returns the checked graph's bytes; each output has a name, a value and the shape of one row of it."""
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
        """Gives the values that are outputs their names, without an operator where the value is a node's own."""
        made = {value for node in self.nodes for value in node.output}
        names: dict[str, str] = {}
        for name, value in outputs:
            if value.name in made and value.name not in names:
                names[value.name] = name
            else:
                self._add("Identity", [names.get(value.name, value.name)], [name])
        for node in self.nodes:
            for values in (node.input, node.output):
                values[:] = [names.get(value, value) for value in values]


class Value:
    """A tensor of the graph. Operators and shapes are numpy's."""

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
        """The larger of it and 0."""
        return self.writer.node("Relu", self)

    def sign(self) -> "Value":
        """-1, 0 or 1."""
        return self.writer.node("Sign", self)

    def sqrt(self) -> "Value":
        """Its square root."""
        return self.writer.node("Sqrt", self)

    def most(self, other: Operand) -> "Value":
        """The larger of both, elementwise."""
        return self.writer.node("Max", self, other)

    def least(self, other: Operand) -> "Value":
        """The smaller of both, elementwise."""
        return self.writer.node("Min", self, other)

    def cast(self, kind: int) -> "Value":
        """Its numbers as another type, one of `TensorProto`'s."""
        return self.writer.node("Cast", self, to=kind)

    def reshape(self, *shape: int) -> "Value":
        """Its numbers in another shape, of which one size may be -1."""
        return self.writer.node("Reshape", self, _whole(self, shape))

    def sum(self, *axes: int) -> "Value":
        """The sum over axes, which go."""
        return self.writer.node("ReduceSum", self, _whole(self, axes), keepdims=0)

    def at(self, *axes: int) -> "Value":
        """With new axes of one entry at these places."""
        return self.writer.node("Unsqueeze", self, _whole(self, axes))

    def times(self, vector: "Value") -> "Value":
        """(batch, rows) this matrix, (batch, rows, width), times a vector for each of the batch, (batch, width)."""
        return self.writer.node("Squeeze", self @ vector.at(2), _whole(self, (2,)))

    def each(self, vectors: "Value") -> "Value":
        """These (batch, m, width, n) matrices, each times its vector of (batch, m, n)."""
        return self.writer.node("Squeeze", self @ vectors.at(3), _whole(self, (3,)))

    def transposed(self, rank: int) -> "Value":
        """With its last two of `rank` axes changed."""
        order = [*range(rank - 2), rank - 1, rank - 2]
        return self.writer.node("Transpose", self, perm=order)

    def halves(self) -> list["Value"]:
        """Its two halves along axis 1."""
        return self.writer.outputs("Split", 2, self, axis=1, num_outputs=2)

    def beside(self, other: "Value") -> "Value":
        """Both, joined along axis 1."""
        return self.writer.node("Concat", self, other, axis=1)

    def rows(self, index: "Value") -> "Value":
        """The rows of this table that an index names."""
        return self.writer.node("Gather", self, index, axis=0)

    def pick(self, index: "Value") -> "Value":
        """(batch, 1) the entry of every row, (batch, width), that `index` (batch,) names."""
        return self.writer.node("GatherElements", self, index.at(1), axis=1)

    def where_not_zero(self, quotient_of: "Value") -> "Value":
        """`quotient_of` / this, or 0 where this is 0."""
        zero = self.writer.node("Equal", self, 0.0)
        safe = self.writer.node("Where", zero, 1.0, self)
        return self.writer.node("Where", zero, 0.0, quotient_of / safe)

    def up_to(self, limit: float) -> "Value":
        """This, or infinity where it is more than `limit`."""
        return self.writer.node("Where", self.writer.node("Greater", self, limit), np.inf, self)


def total(values: Sequence[Value]) -> Value:
    """Their sum."""
    result = values[0]
    for value in values[1:]:
        result = result + value
    return result


def _whole(value: Value, numbers: Sequence[int]) -> Value:
    return value.writer.constant(np.array(numbers, dtype=np.int64))
