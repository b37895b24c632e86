"""Finds the columns that a model reads as codes of categories, by following each from the input to its first use.

Noise on a code means nothing: 2 may be a cook and 3 a driver, and nobody measures 2.3.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from chainzrule.training.adopt.graph import attribute

PASSING = frozenset(("Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast", "FeatureVectorizer"))
ENCODERS = frozenset(("OneHotEncoder", "LabelEncoder", "CategoryMapper", "OneHot", "StringNormalizer"))
WHOLE = frozenset((TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8))
CATEGORIES = ("cats_strings", "keys_strings", "cats_int64s", "keys_int64s")

Traced = dict[str, tuple[int, ...]]


@dataclass
class Codes:
    """Holds what was found.

    Attributes:
        columns: the features that are codes.
        categories: by feature, the categories that its encoder knows, as text; only where there is an encoder.
    """

    columns: set[int] = field(default_factory=set)
    categories: dict[int, tuple[str, ...]] = field(default_factory=dict)


def find_codes(graph: onnx.GraphProto, inputs: Mapping[str, Sequence[int]]) -> Codes:
    """Returns the features that are codes.

    Args:
        graph: the model's.
        inputs: by name of an input that is a matrix or a column, the features that its columns are.
    """
    constants = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    constants |= {
        node.output[0]: numpy_helper.to_array(attribute(node, "value"))
        for node in graph.node
        if node.op_type == "Constant" and attribute(node, "value") is not None
    }
    traced: Traced = {name: tuple(places) for name, places in inputs.items()}
    codes = Codes()
    for node in graph.node:
        codes.columns.update(_coded(node, traced))
        if node.op_type in ENCODERS and traced.get(node.input[0]):
            for place, known in zip(traced[node.input[0]], _categories(node, len(traced[node.input[0]])), strict=False):
                codes.categories[place] = tuple(dict.fromkeys((*codes.categories.get(place, ()), *known)))
        traced |= _passed_on(node, traced, constants)
    return codes


def _coded(node: onnx.NodeProto, traced: Traced) -> Iterator[int]:
    """Yields the features that a node reads as codes."""
    first = traced.get(node.input[0], ()) if node.input else ()
    if (
        node.op_type in ENCODERS
        or (node.op_type == "Cast" and attribute(node, "to") in WHOLE)
        or node.op_type == "Equal"
    ):
        yield from first
    elif node.op_type == "Gather":
        yield from traced.get(node.input[1], ())
    elif node.op_type.startswith("TreeEnsemble") and first:
        # Trees split a coded column by asking for single codes.
        modes = attribute(node, "nodes_modes", [])
        for place, mode in zip(attribute(node, "nodes_featureids", []), modes, strict=False):
            if mode in (b"BRANCH_EQ", b"BRANCH_NEQ", b"BRANCH_MEMBER", 4, 5, 6) and place < len(first):
                yield first[place]


def _categories(node: onnx.NodeProto, columns: int) -> Iterator[tuple[str, ...]]:
    """Yields what an encoder knows, for each of its columns; all of them have the same."""
    for name in CATEGORIES:
        if found := attribute(node, name):
            texts = tuple(item.decode() if isinstance(item, bytes) else str(item) for item in found)
            yield from [texts] * columns
            return


def _passed_on(node: onnx.NodeProto, traced: Traced, constants: Mapping[str, "np.ndarray"]) -> Traced:
    """Returns which features the columns of a node's outputs are, where it only passes them on."""
    first = traced.get(node.input[0]) if node.input else None
    kind = node.op_type
    if kind == "Concat" and attribute(node, "axis") in (1, -1) and all(name in traced for name in node.input):
        return {node.output[0]: tuple(place for name in node.input for place in traced[name])}
    if first is None:
        return {}
    if kind in PASSING:
        return {node.output[0]: first}
    if kind == "ArrayFeatureExtractor" or (kind == "Gather" and attribute(node, "axis", 0) in (1, -1)):
        chosen = constants.get(node.input[1])
        return {} if chosen is None else {node.output[0]: _chosen(first, chosen.ravel().tolist())}
    if kind == "Slice" and len(node.input) > 3:
        parts = [constants.get(name) for name in node.input[1:]]
        if any(part is None or part.size != 1 for part in parts) or int(parts[2].item()) not in (1, -1):  # type: ignore[union-attr]
            return {}
        start, end, _, *step = (int(part.item()) for part in parts)  # type: ignore[union-attr]
        return {node.output[0]: first[slice(start, end, *step)]}
    if kind == "Split" and attribute(node, "axis", 0) in (1, -1):
        sizes = attribute(node, "split") or (constants[node.input[1]].tolist() if len(node.input) > 1 else None)
        ends = np.cumsum(sizes or [len(first) // len(node.output)] * len(node.output))
        return {
            name: first[end - size : end]
            for name, end, size in zip(node.output, ends, np.diff(ends, prepend=0), strict=True)
        }
    return {}


def _chosen(first: tuple[int, ...], places: list[int]) -> tuple[int, ...]:
    return tuple(first[place] for place in places if -len(first) <= place < len(first))
