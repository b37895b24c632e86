"""Writes what stands in front of a model: from the matrix that the service encodes to the model's own inputs."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from chainzrule.service.artifact.features import CategoricalFeature, Feature
from chainzrule.training.adopt.given import Input
from chainzrule.training.adopt.placement import Placement
from chainzrule.training.data.features import MISSING
from chainzrule.training.onnxwriter import NodeWriter, Value

INPUT = "features"


def write_front(inputs: Sequence[Input], placement: Placement, features: Sequence[Feature]) -> NodeWriter:
    """Returns nodes from `features` (batch, D) to every input, under its name and of its type.

    A category arrives one-hot, and is made the text of its level again, as the model takes it.
    """
    writer = NodeWriter("front_", "float")
    ends = np.cumsum([_width(feature) for feature in features]).tolist()
    blocks = [range(end - _width(feature), end) for end, feature in zip(ends, features, strict=True)]
    for one in inputs:
        places = placement.places[one.name]
        value = _gathered(writer, one, ends[-1], [(features[place], blocks[place]) for place in places])
        known = int(np.prod([size for size in one.shape if size is not None]))
        shape = tuple(len(places) // known if size is None else size for size in one.shape)
        kept = one.kind in (TensorProto.FLOAT, TensorProto.STRING)
        shaped = value if kept else value.cast(one.kind)
        writer.node("Reshape", shaped, writer.integers((-1, *shape)), output=one.name)
    return writer


def front_graph(writer: NodeWriter, inputs: Sequence[Input], width: int, model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a model of the front alone, whose outputs are what the file itself takes."""
    graph = helper.make_graph(
        [],
        "front",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info(one.name, one.kind, None) for one in inputs],
    )
    found = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    writer.append_to(found)
    return found


def _gathered(writer: NodeWriter, one: Input, width: int, taken: Sequence[tuple[Feature, range]]) -> Value:
    """Returns an input's columns side by side, from features and where they lie in the matrix of `width` columns."""
    whole = writer.value(INPUT)
    columns = [column for _, block in taken for column in block]
    if not any(isinstance(feature, CategoricalFeature) for feature, _ in taken):
        return (
            whole if columns == list(range(width)) else writer.node("Gather", whole, writer.integers(columns), axis=1)
        )
    parts = []
    for feature, block in taken:
        part = writer.node("Gather", whole, writer.integers(list(block)), axis=1)
        if isinstance(feature, CategoricalFeature):  # ArgMax keeps the first of equals
            place = writer.node("ArgMax", part, axis=1, keepdims=1)
            part = writer.node("Gather", _levels(writer, one, feature), place, axis=0)
        parts.append(part)
    return parts[0] if len(parts) == 1 else writer.node("Concat", *parts, axis=1)


def _levels(writer: NodeWriter, one: Input, feature: CategoricalFeature) -> Value:
    """Returns what a model takes for each level: its text, or its number where the library numbers levels itself."""
    if one.is_text:
        texts = [b"" if level == MISSING else level.encode() for level in feature.levels]
        value = onnx.TensorProto(name="levels", data_type=TensorProto.STRING, dims=[len(texts)], string_data=texts)
        return writer.node("Constant", value=value)
    codes = [np.nan if level == MISSING else place for place, level in enumerate(feature.levels)]
    return writer.constant(np.array(codes, np.float32))


def _width(feature: Feature) -> int:
    return len(feature.levels) if isinstance(feature, CategoricalFeature) else 1
