"""The bounds graph: what a model's scores can come to while its inputs stay in a box. Knows no HTTP and no clock."""

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

TOLERANCE = 1e-3  # from the golden rows' bounds, relative to the largest


class Boxes(NamedTuple):
    """Boxes of inputs.

    Attributes:
        low: (rows, D) least values, in raw units.
        high: (rows, D) largest values.
        label: (rows,) the label whose margins are asked for; for a classification only.
    """

    low: Floats
    high: Floats
    label: NDArray[np.int64]


class Bounds(NamedTuple):
    """What is guaranteed of the scores that the model graph gives anywhere in the boxes, each (rows, S).

    Attributes:
        lower: the scores' least values.
        upper: their largest.
        margin_lower: least values of the label's score minus each score; empty unless it is a classification.
        margin_upper: their largest.
    """

    lower: Floats
    upper: Floats
    margin_lower: Floats
    margin_upper: Floats


class BoundsGraph:
    """A model version's bounds graph, opened when it is first needed: most versions are never asked for a certificate.

    It runs on the CPU, whatever the model runs on: it is in float64.
    """

    def __init__(
        self, interface: Interface, noise: Floats, content: bytes, threads: int, golden: Golden | None = None
    ) -> None:
        """Keeps the graph's bytes until they are needed.

        Args:
            interface: the model's.
            noise: (D,) one noise sigma of every column.
            content: the graph's verified bytes.
            threads: threads that one run may use.
            golden: rows whose bounds the graph must reproduce when it is opened; None where there are none yet.
        """
        self._interface = interface
        self._noise = noise
        self._golden = golden
        self._content = content
        self._execution = Execution("cpu", threads)
        self._graph: Graph | None = None
        self._opening = threading.Lock()

    def open(self) -> Graph:
        """Returns the graph, opened and checked once.

        Raises:
            ArtifactError: it cannot be loaded, has other inputs or outputs than a bounds graph, or does not reproduce
                the golden rows' bounds.
        """
        with self._opening:
            if self._graph is None:
                graph = Graph(self._content, graph_file("bounds"), self._execution, arena=False)
                self._check_signature(graph)
                self._check_golden(graph)
                self._graph = graph
            return self._graph

    def run(self, boxes: Boxes) -> Bounds:
        """Bounds the scores over boxes; raises `ArtifactError` as `open` does."""
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

    def _check_golden(self, graph: Graph) -> None:
        if self._golden is None or self._golden.bounds is None:
            return
        features, expected = to_array(self._golden.features), to_array(self._golden.bounds)
        gap = np.abs(golden_bounds(graph, features, self._noise) - expected)
        # `not <=` also catches NaN.
        if not (gap <= TOLERANCE * np.abs(expected).max() + np.finfo(np.float32).tiny).all():
            raise ArtifactError("does not reproduce the golden rows' bounds", graph.name)


def bound(graph: Graph, boxes: Boxes) -> Bounds:
    """Runs a bounds graph."""
    inputs: dict[str, NDArray[np.generic]] = {"low": boxes.low, "high": boxes.high}
    if "label" in graph.inputs:
        inputs["label"] = boxes.label
    found = graph.compute(**inputs)
    none = np.empty((len(boxes.low), 0))
    return Bounds(found["lower"], found["upper"], found.get("margin_lower", none), found.get("margin_upper", none))


def golden_bounds(graph: Graph, features: NDArray[np.float32], noise: Floats) -> Floats:
    """Returns (rows, 2, S) the scores' bounds within a tenth of a noise sigma of golden rows, (rows, D)."""
    middle, radius = features.astype(np.float64), 0.1 * noise
    found = bound(graph, Boxes(middle - radius, middle + radius, np.zeros(len(middle), np.int64)))
    return np.stack([found.lower, found.upper], axis=1)
