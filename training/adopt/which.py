"""Chooses one of several targets that a model answers at once, to be served by itself."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from chainzrule.training.adopt.graph import element_type
from chainzrule.training.errors import AdoptionError

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
CHOSEN, PLACE = "chosen_target", "chosen_target_place"


def choose_target(model: onnx.ModelProto, which: int) -> None:
    """Leaves a model the answer for one target, and no labels, which are those of all targets.

    A target has a tensor of its own in a sequence, a matrix in a tensor of three axes, or a column of a matrix.

    Args:
        model: changed in place.
        which: the target, counted from 1.

    Raises:
        AdoptionError: there is no answer that could be several targets', or none of that number.
    """
    graph = model.graph
    zipped = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "ZipMap"}
    values = [value for value in graph.output if element_type(value) in FLOATS or _is_sequence(value)]
    if len(values) != 1:
        raise AdoptionError(f"--which is of one output, and {len(values)} could be meant; name one with --output")
    (value,) = values
    name = zipped.get(value.name, value.name)
    if _is_sequence(value) and name == value.name:
        parts = next(
            (node.input for node in graph.node if node.op_type == "SequenceConstruct" and name in node.output), ()
        )
        _require(which, len(parts) or None)
        kind = value.type.sequence_type.elem_type.tensor_type.elem_type
        place = np.array(which - 1)
        chosen = (
            helper.make_node("Identity", [parts[which - 1]], [CHOSEN])
            if parts
            else helper.make_node("SequenceAt", [name, PLACE], [CHOSEN])
        )
    else:
        sizes = _sizes(model, name)
        axis = 0 if len(sizes) == 3 else 1
        _require(which, sizes[axis] if sizes else None)
        kind = element_type(value) or TensorProto.FLOAT
        chosen = helper.make_node("Gather", [name, PLACE], [CHOSEN], axis=axis)
        place = np.array(which - 1) if axis == 0 else np.array([which - 1])  # a matrix is kept as one
    graph.initializer.append(numpy_helper.from_array(place.astype(np.int64), PLACE))
    graph.node.append(chosen)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(CHOSEN, kind, None))


def _is_sequence(value: onnx.ValueInfoProto) -> bool:
    return bool(value.type.WhichOneof("value") == "sequence_type")


def _sizes(model: onnx.ModelProto, name: str) -> list[int | None]:
    """Returns the sizes of a tensor, None for those that are not known; none at all where not even their number is."""
    try:
        inferred = shape_inference.infer_shapes(model).graph
    except ValueError:  # CatBoost's own graphs name no types
        return []
    for value in (*inferred.output, *inferred.value_info):
        if value.name == name and value.type.tensor_type.HasField("shape"):
            return [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]
    return []


def _require(which: int, count: int | None) -> None:
    if count is not None and which > count > 1:  # converters call outputs of several targets one column
        raise AdoptionError(f"--which {which}: the model answers {count} targets")
