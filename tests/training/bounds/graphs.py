"""Formulas of the bounds, computed as they are in a graph."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.training.export.onnx import OPSET
from chainzrule.training.onnxwriter import GraphWriter, Value

Floats = NDArray[np.float64]


def computed(formula: Callable[[GraphWriter], dict[str, Value]], **inputs: Floats) -> dict[str, Floats]:
    """What a formula's values come to; it makes them of constants, and of `writer.input` for each of `inputs`.

    Values may have any shape: they leave the graph flattened, and are given back so.
    """
    writer = GraphWriter(OPSET)
    values = formula(writer)
    shape = writer.constant(np.array([1, -1], dtype=np.int64))
    flat = [(name, writer.node("Reshape", value, shape), ("width",)) for name, value in values.items()]
    content = writer.finish(flat)  # type: ignore[arg-type]
    found = Graph(content, "a.onnx", Execution("cpu", threads=1)).compute(**inputs)
    return {name: value[0] for name, value in found.items()}


def wave(*shape: int, start: int = 0) -> Floats:
    """Numbers from -1 to 1 without any order, the same on every machine and in every version of numpy."""
    return np.sin(np.arange(start, start + np.prod(shape), dtype=np.float64) * 7.0).reshape(shape)
