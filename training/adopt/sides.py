"""Moves thresholds of trees to the side on which the library has them, where its predictions show that.

A converter rounds a float64 threshold to the nearest float32. A value of the sample that equals the rounded threshold
is at most that, but may be more than the library's own. Where the library's predictions agree better with the next
float32 below, that is the threshold which keeps every float32 value on its side.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from chainzrule.training.adopt.front import INPUT
from chainzrule.training.adopt.graph import attribute, copied, serialise
from chainzrule.training.adopt.source import Source

MOST_TRIED = 200

Matrix = NDArray[np.float32]
Off = Callable[[Source], int]
Split = tuple[str, int, np.float32]


def settle_sides(source: Source, x: Matrix, rows: NDArray[np.int64], off: Off) -> tuple[Source, int]:
    """Returns the model with thresholds on their sides, and how many were moved.

    Args:
        source: the plain model.
        x: (rows, D) the sample.
        rows: those whose answers are not the library's.
        off: returns in how many rows a model's answers are not the library's.
    """
    best, moved = off(source), 0
    for split in list(_touched(source.graph, x[rows]))[:MOST_TRIED]:
        if not best:
            break
        tried = replace(source, graph=_lowered(source.graph, split))
        found = off(tried)
        if found < best:
            source, best, moved = tried, found, moved + 1
    return source, moved


def _touched(graph: onnx.ModelProto, x: Matrix) -> Iterator[Split]:
    """Yields the thresholds that a value of a row equals, each as the trees' input, its column and the threshold."""
    trees = [node for node in graph.graph.node if node.op_type.startswith("TreeEnsemble")]
    watched = copied(graph)
    names = sorted({node.input[0] for node in trees} - {INPUT})
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(serialise(watched), providers=["CPUExecutionProvider"])
    values = dict(zip(names, session.run(names, {INPUT: x}), strict=True)) if names else {}
    values[INPUT] = x
    found: dict[Split, None] = {}
    for node in trees:
        seen = values[node.input[0]]
        if seen.dtype != np.float32 or seen.ndim != 2:
            continue
        columns, modes = attribute(node, "nodes_featureids", []), attribute(node, "nodes_modes", [])
        for column, mode, threshold in zip(columns, modes, attribute(node, "nodes_values", []), strict=False):
            exact = np.float32(threshold)
            if mode == b"BRANCH_LEQ" and (seen[:, column] == exact).any():
                found[(node.input[0], column, exact)] = None
    yield from found


def _lowered(graph: onnx.ModelProto, split: Split) -> onnx.ModelProto:
    """Returns a copy in which one threshold of a column is the next float32 below."""
    name, column, threshold = split
    other = copied(graph)
    for node in other.graph.node:
        if not node.op_type.startswith("TreeEnsemble") or node.input[0] != name:
            continue
        held = {item.name: item for item in node.attribute}
        below = float(np.nextafter(threshold, np.float32(-np.inf)))
        values = [
            below if place == column and np.float32(value) == threshold and mode == b"BRANCH_LEQ" else value
            for place, value, mode in zip(
                held["nodes_featureids"].ints, held["nodes_values"].floats, held["nodes_modes"].strings, strict=True
            )
        ]
        held["nodes_values"].CopyFrom(helper.make_attribute("nodes_values", values))
    return other
