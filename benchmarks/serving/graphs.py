"""Provides the servers' graphs: a model's own, and one cut down to its predictions."""

import time
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.utils import Extractor

from chainzrule.service.runtime.graph import Execution, Graph


def without_covariance(path: Path) -> bytes:
    """Returns a model's graph with only scores and probabilities, as a server without diagnostics would serve it."""
    graph = onnx.load(path)
    kept = [output.name for output in graph.graph.output if output.name in ("scores", "probabilities")]
    content: bytes = Extractor(graph).extract_model(["features"], kept).SerializeToString()
    return content


def opened(content: bytes) -> Graph:
    """Returns a graph, opened in this process with one thread."""
    return Graph(content, "model.onnx", Execution("cpu", threads=1))


def runs_a_second(graph: Graph, matrix: NDArray[np.float32], seconds: float) -> float:
    """Returns how often per second a graph runs in this process."""
    graph.run(matrix)
    runs = 0
    begin = time.perf_counter()
    while (now := time.perf_counter()) < begin + seconds:
        graph.run(matrix)
        runs += 1
    return runs / (now - begin)
