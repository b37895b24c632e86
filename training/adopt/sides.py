"""Moves thresholds of trees to the side on which the library has them, where its predictions show that.

A converter rounds a float64 threshold to the nearest float32, and rows are rounded too, or scaled before the trees. So
a value of the sample that lies within rounding of a threshold may take another branch than in the library. Where the
library's predictions agree better with a threshold at the value, or right below it, that is where it belongs.
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

MOST_TRIED = 300
NEAR = 1e-6  # how near a value lies to a threshold, relative to the column, where rounding decides between them
SETTLED = 1e-5

Matrix = NDArray[np.float32]
Off = Callable[[Source], float]
Split = tuple[str, int, np.float32, np.float32]


def settle_sides(source: Source, x: Matrix, rows: NDArray[np.int64], off: Off) -> tuple[Source, int]:
    """Returns the model with thresholds on their sides, and how many were moved.

    Args:
        source: the plain model.
        x: (rows, D) the sample.
        rows: those whose answers are not the library's.
        off: returns how far a model's answers are from the library's, summed over the rows.
    """
    best, moved = off(source), 0
    for split in list(_touched(source.graph, x, rows))[:MOST_TRIED]:
        if best <= SETTLED:
            break
        tried = replace(source, graph=_moved(source.graph, split))
        found = off(tried)
        if found < best - SETTLED:
            source, best, moved = tried, found, moved + 1
    return source, moved


def _touched(graph: onnx.ModelProto, x: Matrix, rows: NDArray[np.int64]) -> Iterator[Split]:
    """Yields the thresholds near a value of a row, each as the trees' input, its column, itself and a better one."""
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
        largest = np.nanmax(np.abs(seen), axis=0)
        columns, modes = attribute(node, "nodes_featureids", []), attribute(node, "nodes_modes", [])
        for column, mode, threshold in zip(columns, modes, attribute(node, "nodes_values", []), strict=False):
            own = np.float32(threshold)
            if mode not in (b"BRANCH_LEQ", b"BRANCH_LT"):
                continue
            values_here = seen[rows, column]
            near = NEAR * largest[column]
            for value in np.unique(values_here[np.abs(values_here - own) <= near]):
                below = (value <= own) if mode == b"BRANCH_LEQ" else (value < own)
                direction = np.float32(-np.inf) if below else np.float32(np.inf)
                # At most a threshold at the value itself, or less than one right above it, is below.
                edge = mode == b"BRANCH_LEQ"
                better = np.nextafter(value, direction) if below == edge else value
                found[(node.input[0], column, own, better)] = None
    yield from found


def _moved(graph: onnx.ModelProto, split: Split) -> onnx.ModelProto:
    """Returns a copy in which one threshold of a column is another."""
    name, column, threshold, better = split
    other = copied(graph)
    for node in other.graph.node:
        if not node.op_type.startswith("TreeEnsemble") or node.input[0] != name:
            continue
        held = {item.name: item for item in node.attribute}
        values = [
            float(better) if place == column and np.float32(value) == threshold and mode != b"LEAF" else value
            for place, value, mode in zip(
                held["nodes_featureids"].ints, held["nodes_values"].floats, held["nodes_modes"].strings, strict=True
            )
        ]
        held["nodes_values"].CopyFrom(helper.make_attribute("nodes_values", values))
    return other
