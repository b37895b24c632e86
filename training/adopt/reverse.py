"""Differentiates an ONNX graph in reverse mode; the derivative is written as further nodes of the graph.

An adjoint has the shape of its tensor with the scores as a second dimension, (batch, S, ...), so that all scores go
through the graph at once. Only the features and what depends on them have one; all else is constant.
"""

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from chainzrule.training.adopt.graph import attribute
from chainzrule.training.adopt.source import INPUT
from chainzrule.training.errors import AdoptionError
from chainzrule.training.onnxwriter import NodeWriter, Value

Shape = tuple[int, ...]
Rule = Callable[["Reverse", onnx.NodeProto, Value], None]


class Reverse:
    """Walks back through a graph, from one of its tensors to the features, and collects adjoints.

    Attributes:
        writer: takes the derivative's nodes.
        scores: the number of scores, S.
    """

    def __init__(self, model: onnx.ModelProto, writer: NodeWriter, output: str, seed: NDArray[np.float32]) -> None:
        """Starts at `output` (batch, K) with `seed` (S, K), the derivative of the scores with respect to it."""
        self.writer = writer
        self.scores = len(seed)
        self._nodes = list(model.graph.node)
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        self._shapes = {
            value.name: tuple(int(dim.dim_value) for dim in value.type.tensor_type.shape.dim[1:])
            for value in (*inferred.value_info, *inferred.input, *inferred.output)
        }
        self._constants = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
        self._constants |= {
            node.output[0]: numpy_helper.to_array(attribute(node, "value"))
            for node in self._nodes
            if node.op_type == "Constant" and attribute(node, "value") is not None
        }
        self._dependent = {INPUT}
        for node in self._nodes:
            if self._dependent & set(node.input):
                self._dependent |= set(node.output)
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
            rule = rules.get(node.op_type) if node.domain in ("", "ai.onnx") else None
            if rule is None or reached != node.output[:1]:
                raise AdoptionError(f"operator {node.op_type} has no derivative here")
            rule(self, node, self._adjoints[node.output[0]])
        if INPUT not in self._adjoints:
            raise AdoptionError("the model's answer does not depend on its input")
        return self._adjoints[INPUT]

    def accumulate(self, name: str, adjoint: Value) -> None:
        """Adds a term to a tensor's adjoint."""
        known = self._adjoints.get(name)
        self._adjoints[name] = adjoint if known is None else known + adjoint

    def depends(self, name: str) -> bool:
        """Returns whether a tensor depends on the features."""
        return name in self._dependent

    def value(self, name: str) -> Value:
        """Returns the tensor of the graph that has this name."""
        return self.writer.value(name)

    def with_score_axis(self, name: str) -> Value:
        """Returns a tensor as (batch, 1, ...), which broadcasts against an adjoint over the scores."""
        return self.value(name).reshape(-1, 1, *self.shape(name))

    def constant(self, name: str) -> NDArray[np.generic]:
        """Returns a constant's values; raises `AdoptionError` where the tensor is computed."""
        if name not in self._constants:
            raise AdoptionError("a tensor that is computed stands where a constant is expected")
        return self._constants[name]

    def shape(self, name: str) -> Shape:
        """Returns a tensor's shape without the batch; raises `AdoptionError` where it is not known beforehand."""
        shape = self._shapes.get(name)
        if shape is None or any(size < 1 for size in shape):
            raise AdoptionError("the size of a tensor inside the graph is not known beforehand")
        return shape
