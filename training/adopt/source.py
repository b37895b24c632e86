"""Makes someone else's model plain: a float32 matrix of all columns in, one float tensor out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from chainzrule.service.artifact.features import Feature
from chainzrule.training.adopt.front import INPUT, front_graph, write_front
from chainzrule.training.adopt.given import Given
from chainzrule.training.adopt.graph import attribute, copied, element_type, prune
from chainzrule.training.adopt.lowering import lower
from chainzrule.training.adopt.placement import Placement
from chainzrule.training.columns import Columns
from chainzrule.training.onnxwriter import NodeWriter

OUTPUT = "answer"
OTHER_FLOATS = (TensorProto.DOUBLE, TensorProto.FLOAT16)


@dataclass(frozen=True)
class Source:
    """Holds a model that was made plain, beside the file that it was made from.

    Attributes:
        given: the file.
        graph: `features` (batch, width) -> `answer`; what only served other outputs is gone.
        front: `features` -> the file's own inputs, by which the file itself is run.
        width: columns of the matrix, D.
    """

    given: Given
    graph: onnx.ModelProto
    front: onnx.ModelProto
    width: int

    @property
    def is_coarse(self) -> bool:
        """Returns whether the file computes in float16, which ONNX Runtime rounds now here, now there."""
        tensors = [*self.given.model.graph.initializer, *self.given.model.graph.input]
        return any(
            (tensor.data_type if isinstance(tensor, onnx.TensorProto) else element_type(tensor)) == TensorProto.FLOAT16
            for tensor in tensors
        )

    @property
    def operators(self) -> set[str]:
        """Returns the operators that the answer needs."""
        return {node.op_type for node in self.graph.graph.node}


def plain_sources(given: Given, placement: Placement, features: Sequence[Feature]) -> Iterator[Source]:
    """Yields the model made plain in two ways; the first that answers as the file does is the better.

    The first computes in float32 throughout, where the file computes in float64 or takes whole numbers: so it can be
    differentiated. The second keeps the file's own types.
    """
    width = Columns.of(features, None).width
    wide = write_front(given.inputs, placement, features)
    front = front_graph(wide, given.inputs, width, given.model)
    others = any(one.kind not in (TensorProto.FLOAT, TensorProto.STRING) for one in given.inputs)
    narrow = in_float32(given.model)
    if (others or narrow.SerializeToString() != given.model.SerializeToString()) and not _has_double_trees(given.model):
        floats = write_front([one.taking_floats() for one in given.inputs], placement, features)
        yield Source(given, _plain(narrow, floats, given, width), front, width)
    yield Source(given, _plain(copied(given.model), wide, given, width), front, width)


def in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy whose constants and casts of other floats are float32."""
    found = copied(model)
    for weight in found.graph.initializer:
        if weight.data_type in OTHER_FLOATS:
            weight.CopyFrom(_in_float32(weight))
    for node in found.graph.node:
        for item in node.attribute:
            if node.op_type == "Cast" and item.name == "to" and item.i in OTHER_FLOATS:
                item.i = TensorProto.FLOAT
            if item.HasField("t") and item.t.data_type in OTHER_FLOATS:
                item.t.CopyFrom(_in_float32(item.t))
    return found


def _in_float32(tensor: onnx.TensorProto) -> onnx.TensorProto:
    with np.errstate(over="ignore"):
        return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)


def _has_double_trees(model: onnx.ModelProto) -> bool:
    """Returns whether trees split at float64 thresholds, which float32 would move."""
    return any(
        node.op_type.startswith("TreeEnsemble") and item.HasField("t") and item.t.data_type == TensorProto.DOUBLE
        for node in model.graph.node
        for item in node.attribute
    )


def _plain(model: onnx.ModelProto, front: NodeWriter, given: Given, width: int) -> onnx.ModelProto:
    """Puts the front before a model and a float32 tensor after its answer, and lowers what stands between."""
    graph = model.graph
    back = NodeWriter("back_", "float")
    back.node("Cast", back.value(given.answer), to=TensorProto.FLOAT, output=OUTPUT)
    own = list(graph.node)
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    front.append_to(model)
    for node in own:
        lowered = lower(node)
        if lowered is None:
            graph.node.append(node)
        else:
            lowered.append_to(model)
    back.append_to(model)
    if given.batch is not None:
        _widen(graph, given.batch)
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", width]))
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, None))
    prune(model)
    return model


def _widen(graph: onnx.GraphProto, batch: int) -> None:
    """Lets reshapes to a fixed number of rows take any; whether the answers stay the same is tried afterwards."""
    constants = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    constants |= {
        node.output[0]: numpy_helper.to_array(attribute(node, "value"))
        for node in graph.node
        if node.op_type == "Constant" and attribute(node, "value") is not None
    }
    freed = NodeWriter("free_", "float")
    for node in graph.node:
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        first, *rest = constants[node.input[1]].ravel().tolist()
        if first == batch and -1 not in rest:
            node.input[1] = freed.integers((-1, *rest)).name
    graph.initializer.extend(freed.constants)
