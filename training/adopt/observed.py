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
        shapes: the sizes for a single row, and the axis whose size follows the number of rows.
        steady: the values of tensors that are the same for all inputs that were tried.
        still: the names of tensors that do not change with the columns that have noise.
    """

    shapes: dict[str, tuple[tuple[int, ...], int]]
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
    found = Observed({INPUT: ((1, width), 0)}, {}, still)
    for name, first, second in zip(names, runs[0], runs[1], strict=True):
        if not (isinstance(first, np.ndarray) and isinstance(second, np.ndarray)):
            continue
        differing = [
            axis for axis, sizes in enumerate(zip(first.shape, second.shape, strict=False)) if sizes[0] != sizes[1]
        ]
        if first.ndim == second.ndim and len(differing) == 1 and _follows(first, second, differing[0]):
            sizes = list(map(int, first.shape))
            sizes[differing[0]] //= TRIED[0]
            found.shapes[name] = (tuple(sizes), differing[0])
        elif first.dtype.kind in "fiub" and _equal(first, second):
            found.steady[name] = first
    return found


def _follows(first: NDArray[np.generic], second: NDArray[np.generic], axis: int) -> bool:
    """Returns whether an axis has the same number of places for each row."""
    return all(
        size % rows == 0 for size, rows in zip((first.shape[axis], second.shape[axis]), TRIED, strict=True)
    ) and (first.shape[axis] // TRIED[0] == second.shape[axis] // TRIED[1] > 0)


def _equal(one: object, other: object) -> bool:
    return isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and np.array_equal(one, other)
