"""Writes recurrent layers of a known length as the steps that they consist of, which have derivatives."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from chainzrule.training.adopt.graph import attribute, copied, opset, prune
from chainzrule.training.adopt.observed import observe
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import NodeWriter, Value

GATES = {"LSTM": 4, "GRU": 3}
MOST_STEPS = 128

Weights = NDArray[np.generic]


def unrolled(model: onnx.ModelProto, noise: NDArray[np.floating]) -> onnx.ModelProto:
    """Returns a copy of a graph without LSTM and GRU nodes; the graph itself where it has none.

    Args:
        model: `features` (batch, D) -> anything.
        noise: (D,) one noise sigma of every column.

    Raises:
        AdoptionError: a layer has something that is not known here, or too many steps.
    """
    if not any(node.op_type in GATES for node in model.graph.node):
        return model
    shapes = observe(model, noise).shapes
    constants = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    found = copied(model)
    nodes = list(found.graph.node)
    del found.graph.node[:]
    for node in nodes:
        if node.op_type not in GATES:
            found.graph.node.append(node)
            continue
        writer = NodeWriter(f"steps_{node.output[0] or node.output[1]}_", "float")
        _Layer(writer, node, shapes[node.input[0]][0][0], constants, opset(model)).write()
        writer.append_to(found)
    prune(found)
    return found


class _Layer:
    """Writes one recurrent layer, which takes (steps, batch, inputs)."""

    def __init__(
        self, writer: NodeWriter, node: onnx.NodeProto, steps: int, constants: dict[str, Weights], version: int
    ) -> None:
        self.writer, self.node, self.steps, self.version = writer, node, steps, version
        inputs = [*node.input, *[""] * 8]
        plain = attribute(node, "activations") in (None, *_defaults(node))
        if inputs[4] or inputs[7] or attribute(node, "clip") is not None or not plain or attribute(node, "layout", 0):
            raise AdoptionError(f"{node.op_type} with lengths or other functions has no derivative here")
        if steps > MOST_STEPS or any(name not in constants for name in inputs[1:4] if name):
            raise AdoptionError(f"{node.op_type} of {steps} steps, or with computed weights, has no derivative here")
        self.weights, self.recurrent = constants[inputs[1]], constants[inputs[2]]
        self.hidden = int(attribute(node, "hidden_size"))
        width = GATES[node.op_type] * self.hidden
        self.bias = constants[inputs[3]] if inputs[3] else np.zeros((len(self.weights), 2 * width), np.float32)
        self.initial = inputs[5:7]
        self.first = writer.value(inputs[0])

    def write(self) -> None:
        """Writes the layer's outputs: the states of all steps, (steps, ways, batch, hidden), and the last ones."""
        way = attribute(self.node, "direction", b"forward")
        ways = [False, True] if way == b"bidirectional" else [way == b"reverse"]
        runs = [self._direction(number, backwards) for number, backwards in enumerate(ways)]
        outputs = [*self.node.output, "", "", ""]
        if outputs[0]:
            each = [self._joined([states[step] for states, _, _ in runs], (0, 1)) for step in range(self.steps)]
            self._concat(each, 0, outputs[0])
        if outputs[1]:
            self._concat([self._lifted(hidden, (0,)) for _, hidden, _ in runs], 0, outputs[1])
        if outputs[2]:
            self._concat([self._lifted(cell, (0,)) for _, _, cell in runs], 0, outputs[2])

    def _direction(self, number: int, backwards: bool) -> tuple[list[Value], Value, Value]:
        """Returns the hidden states by step, the last one, and the last cell."""
        W, R = (self.writer.constant(part[number].T.astype(np.float32)) for part in (self.weights, self.recurrent))
        width = self.bias.shape[1] // 2
        bias, recurrent_bias = self.bias[number, :width], self.bias[number, width:]
        hidden, cell = self._start(number, 0), self._start(number, 1)
        order = range(self.steps)
        states: list[Value | None] = [None] * self.steps
        for step in reversed(order) if backwards else order:
            into = self._at(self.first, step, self.weights.shape[2]) @ W + self.writer.constant(bias.astype(np.float32))
            back = hidden @ R + self.writer.constant(recurrent_bias.astype(np.float32))
            lstm = self.node.op_type == "LSTM"
            hidden, cell = self._lstm(into + back, cell) if lstm else self._gru(into, back, hidden)
            states[step] = hidden
        return [state for state in states if state is not None], hidden, cell

    def _lstm(self, gates: Value, cell: Value) -> tuple[Value, Value]:
        keep, give, forget = (self._gate("Sigmoid", gates, place) for place in range(3))
        new = forget * cell + keep * self._gate("Tanh", gates, 3)
        return give * self.writer.node("Tanh", new), new

    def _gru(self, into: Value, back: Value, hidden: Value) -> tuple[Value, Value]:
        if not attribute(self.node, "linear_before_reset", 0):
            raise AdoptionError("GRU that resets before its product has no derivative here")
        update, reset = (self._gate("Sigmoid", into + back, place) for place in range(2))
        new = self.writer.node("Tanh", self._part(into, 2) + reset * self._part(back, 2))
        made = (1.0 - update) * new + update * hidden
        return made, made

    def _gate(self, kind: str, gates: Value, place: int) -> Value:
        return self.writer.node(kind, self._part(gates, place))

    def _part(self, gates: Value, place: int) -> Value:
        places = range(place * self.hidden, (place + 1) * self.hidden)
        return self.writer.node("Gather", gates, self.writer.integers(places), axis=1)

    def _start(self, number: int, place: int) -> Value:
        """Returns a direction's first state, (batch, hidden); zeros where none is given."""
        if self.initial[place]:
            return self._at(self.writer.value(self.initial[place]), number, self.hidden)
        zeros = np.zeros((self.weights.shape[2], self.hidden), np.float32)
        return self._at(self.first, 0, self.weights.shape[2]) @ self.writer.constant(zeros)

    def _at(self, value: Value, place: int, width: int) -> Value:
        """Returns (batch, width), one place along the first axis."""
        return self.writer.node("Gather", value, self.writer.integers((place,)), axis=0).reshape(-1, width)

    def _joined(self, states: Sequence[Value], axes: tuple[int, ...]) -> Value:
        lifted = [self._lifted(state, axes) for state in states]
        return lifted[0] if len(lifted) == 1 else self.writer.node("Concat", *lifted, axis=1)

    def _lifted(self, state: Value, axes: tuple[int, ...]) -> Value:
        if self.version < 13:
            return self.writer.node("Unsqueeze", state, axes=list(axes))
        return self.writer.node("Unsqueeze", state, self.writer.integers(axes))

    def _concat(self, parts: Sequence[Value], axis: int, output: str) -> None:
        if len(parts) == 1:
            self.writer.node("Identity", parts[0], output=output)
        else:
            self.writer.node("Concat", *parts, axis=axis, output=output)


def _defaults(node: onnx.NodeProto) -> list[list[bytes]]:
    each = [b"Sigmoid", b"Tanh", b"Tanh"] if node.op_type == "LSTM" else [b"Sigmoid", b"Tanh"]
    return [each, 2 * each]
