"""Bounds a model's scores while its inputs stay in a box, with the version's bounds graph."""

import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Golden
from chainzrule.service.artifact.interface import Interface
from chainzrule.service.artifact.store import graph_file
from chainzrule.service.errors import ArtifactError
from chainzrule.service.runtime.graph import Execution, Graph, Shape
from chainzrule.service.runtime.tensors import to_array

Floats = NDArray[np.float64]

TOLERANCE = 1e-3  # the largest difference from the golden rows' bounds, relative to the largest bound


class Boxes(NamedTuple):
    """Holds boxes of inputs.

    Attributes:
        low: (rows, D) minima, in raw units.
        high: (rows, D) maxima, in raw units.
        label: (rows,) the label whose margins are to be bounded; used for a classification only.
    """

    low: Floats
    high: Floats
    label: NDArray[np.int64]


class Bounds(NamedTuple):
    """Holds guaranteed bounds of the scores that the model graph gives anywhere in the boxes, each (rows, S).

    Attributes:
        lower: lower bounds of the scores.
        upper: upper bounds of the scores.
        margin_lower: lower bounds of the label's score minus each score; empty unless it is a classification.
        margin_upper: upper bounds of the label's score minus each score; empty unless it is a classification.
    """

    lower: Floats
    upper: Floats
    margin_lower: Floats
    margin_upper: Floats


class BoundsGraph:
    """Runs a model version's bounds graph, opened on first use: most versions are never asked for a certificate.

    The graph computes in float64, so it runs on the CPU whatever device the model runs on.
    """

    def __init__(
        self, interface: Interface, noise: Floats, content: bytes, threads: int, golden: Golden | None = None
    ) -> None:
        """Keeps the graph's bytes until the graph is opened.

        Args:
            interface: the model's inputs and outputs.
            noise: (D,) one noise sigma of every column.
            content: the graph's verified bytes.
            threads: the number of threads that one run may use.
            golden: rows whose bounds the graph must reproduce when it is opened; None where there are none yet.
        """
        self._interface = interface
        self._noise = noise
        self._golden = golden
        self._content = content
        self._execution = Execution("cpu", threads)
        self._graph: Graph | None = None
        self._opening = threading.Lock()

    def open(self, golden_rows: int | None = None) -> Graph:
        """Returns the graph, which is opened and checked on the first call.

        Args:
            golden_rows: the number of golden rows to check it with; None for all.

        Raises:
            ArtifactError: it cannot be loaded, has other inputs or outputs than a bounds graph, or does not reproduce
                the golden rows' bounds.
        """
        with self._opening:
            if self._graph is None:
                graph = Graph(self._content, graph_file("bounds"), self._execution, arena=False)
                self._check_signature(graph)
                self._check_golden(graph, golden_rows)
                self._graph = graph
            return self._graph

    def run(self, boxes: Boxes) -> Bounds:
        """Returns bounds of the scores over boxes; raises `ArtifactError` as `open` does."""
        return bound(self.open(), boxes)

    def _check_signature(self, graph: Graph) -> None:
        wide, each = ("tensor(double)", (self._interface.width,)), ("tensor(double)", (self._interface.scores,))
        inputs: dict[str, tuple[str, Shape]] = {"low": wide, "high": wide}
        outputs: dict[str, tuple[str, Shape]] = {"lower": each, "upper": each}
        if self._interface.task == "classification":
            inputs["label"] = ("tensor(int64)", ())
            outputs |= {"margin_lower": each, "margin_upper": each}
        for found, expected in ((graph.inputs, inputs), (graph.outputs, outputs)):
            seen = {name: (kind, tuple(shape[1:])) for name, (kind, shape) in found.items()}
            if seen != expected or any(isinstance(shape[0], int) for _, shape in found.values()):
                raise ArtifactError(f"must have {', '.join(expected)}, of the card's shapes", graph.name)

    def _check_golden(self, graph: Graph, rows: int | None) -> None:
        if self._golden is None:
            return
        try:
            found = golden_bounds(graph, to_array(self._golden.features)[:rows], self._noise)
        except Exception as error:  # ONNX Runtime's errors have no other common base class
            raise ArtifactError(f"cannot bound the golden rows ({type(error).__name__})", graph.name) from error
        if self._golden.bounds is None:
            return
        expected = to_array(self._golden.bounds)
        gap = np.abs(found - expected[:rows])
        # `not <=` is also true for NaN.
        if not (gap <= TOLERANCE * np.abs(expected).max() + np.finfo(np.float32).tiny).all():
            raise ArtifactError("does not reproduce the golden rows' bounds", graph.name)


def bound(graph: Graph, boxes: Boxes) -> Bounds:
    """Returns the bounds that a bounds graph gives for boxes."""
    inputs: dict[str, NDArray[np.generic]] = {"low": boxes.low, "high": boxes.high}
    if "label" in graph.inputs:
        inputs["label"] = boxes.label
    found = graph.compute(**inputs)
    none = np.empty((len(boxes.low), 0))
    return Bounds(found["lower"], found["upper"], found.get("margin_lower", none), found.get("margin_upper", none))


def golden_bounds(graph: Graph, features: NDArray[np.float32], noise: Floats) -> Floats:
    """Returns the (rows, 2, S) bounds of the scores within a tenth of a noise sigma around golden rows, (rows, D)."""
    middle, radius = features.astype(np.float64), 0.1 * noise
    found = bound(graph, Boxes(middle - radius, middle + radius, np.zeros(len(middle), np.int64)))
    return np.stack([found.lower, found.upper], axis=1)
