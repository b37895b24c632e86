"""Runs what a part of the novelty writes into a graph."""

from collections.abc import Callable, Sequence

import numpy as np

from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.training.columns import Columns
from chainzrule.training.onnxwriter import GraphWriter, NodeWriter, Value


def computed(
    write: Callable[[NodeWriter, Value], Sequence[Value]], x: np.ndarray, shapes: Sequence[int]
) -> list[np.ndarray]:
    """What the written values are for rows, (rows, D), in float32; `shapes` are their columns."""
    writer = GraphWriter(20, "float")
    values = write(writer, writer.input("features", "float", x.shape[1]))
    outputs = [(f"out_{place}", value, (columns,)) for place, (value, columns) in enumerate(zip(values, shapes))]  # noqa: B905
    found = Graph(writer.finish(outputs), "written", Execution("cpu", threads=1)).run(x.astype(np.float32))
    return [found[name] for name, _, _ in outputs]


def columns_of(x: np.ndarray, blocks: tuple[slice, ...] = (), pooled: bool = False) -> Columns:
    """The columns of numeric rows, with one-hot blocks."""
    mean, std = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    return Columns(mean, std, x.min(axis=0), x.max(axis=0), 0.1 * std, blocks, pooled)
