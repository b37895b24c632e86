"""Observes the tensors inside a graph by running it, because exporters compute sizes and weights inside the graph."""

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from chainzrule.training.adopt.front import INPUT
from chainzrule.training.adopt.graph import copied, serialise
from chainzrule.training.errors import AdoptionError

TRIED = (5, 3)  # numbers of rows; a size that follows neither belongs to no batch


@dataclass(frozen=True)
class Observed:
    """Holds what was seen of the tensors inside a graph.

    Attributes:
        shapes: the sizes behind the batch, of tensors that have a row for each row of `features`.
        steady: the values of tensors that are the same for all inputs that were tried.
        still: the names of tensors that do not change with the columns that have noise.
    """

    shapes: dict[str, tuple[int, ...]]
    steady: dict[str, NDArray[np.generic]]
    still: frozenset[str]


def observe(model: onnx.ModelProto, noise: NDArray[np.floating]) -> Observed:
    """Runs a graph for two numbers of rows and other values in each, and once more with other noisy columns.

    Args:
        model: `features` (batch, D) -> anything.
        noise: (D,) one noise sigma of every column.

    Raises:
        AdoptionError: the graph cannot be run.
    """
    watched = copied(model)
    names = [name for node in watched.graph.node for name in node.output if name]
    known = {value.name for value in watched.graph.output}
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    width = len(noise)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(serialise(watched), options, providers=["CPUExecutionProvider"])
        first, second = (np.full((rows, width), rows / 4, np.float32) for rows in TRIED)
        moved = np.where(noise > 0, first * np.float32(-1.7), first)
        runs = [session.run(names, {INPUT: rows}) for rows in (first, second, moved)]
    except Exception as error:  # ONNX Runtime's errors share no narrower base
        raise AdoptionError(f"the sizes inside the graph cannot be found ({type(error).__name__})") from None
    still = frozenset(name for name, one, other in zip(names, runs[0], runs[2], strict=True) if _equal(one, other)) | (
        frozenset() if noise.any() else {INPUT}
    )
    found = Observed({INPUT: (width,)}, {}, still)
    for name, first, second in zip(names, runs[0], runs[1], strict=True):
        if not (isinstance(first, np.ndarray) and isinstance(second, np.ndarray)):
            continue
        if (first.shape[:1], second.shape[:1]) == ((TRIED[0],), (TRIED[1],)) and first.shape[1:] == second.shape[1:]:
            found.shapes[name] = tuple(map(int, first.shape[1:]))
        elif first.dtype.kind in "fiub" and _equal(first, second):
            found.steady[name] = first
    return found


def _equal(one: object, other: object) -> bool:
    return isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and np.array_equal(one, other)
