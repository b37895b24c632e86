"""Makes a shipped model slow: its graph computes for a given time before it answers as it always does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from benchmarks.serving.graphs import opened, runs_a_second
from chainzrule.service.artifact.store import describe_graph

NAME = "slow"
WIDTH = 1024


def publish_slow(source: Path, root: Path, rows: int, seconds: float, matrix: NDArray[np.float32]) -> float:
    """Publishes a copy that takes `seconds` for a batch of `rows`, and returns the time that it really takes.

    The work is a network's, and grows with the rows as a network's does: products with a square matrix, whose result is
    multiplied by nothing and added.
    """
    content = source.joinpath("model.onnx").read_bytes()
    few, many = 2, 12
    times = {depth: 1.0 / runs_a_second(opened(_deep(content, depth)), matrix[:rows], 1.0) for depth in (few, many)}
    depth = max(1, round(few + (seconds - times[few]) * (many - few) / (times[many] - times[few])))
    slow = _deep(content, depth)
    home = root / NAME / "1"
    home.mkdir(parents=True)
    card: dict[str, Any] = json.loads((source / "card.json").read_text())
    card |= {"name": NAME, "version": "1"}
    opset = card["graphs"]["model"]["opset"]
    card["graphs"]["model"] = json.loads(describe_graph(slow, opset).model_dump_json(exclude_none=True))
    for file in source.glob("*.onnx"):
        (home / file.name).write_bytes(slow if file.name == "model.onnx" else file.read_bytes())
    (home / "card.json").write_text(json.dumps(card))
    return 1.0 / runs_a_second(opened(slow), matrix[:rows], 1.0)


def _deep(content: bytes, depth: int) -> bytes:
    """Returns the graph with `depth` products of (rows, WIDTH) and (WIDTH, WIDTH) behind its scores."""
    model = onnx.load_from_string(content)
    graph = model.graph
    rng = np.random.default_rng(0)
    width = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    scores = next(output for output in graph.output if output.name == "scores")
    weights = {
        "slow_in": rng.normal(size=(width, WIDTH)) / width**0.5,
        "slow_square": rng.normal(size=(WIDTH, WIDTH)) / WIDTH**0.5,
        "slow_out": np.zeros((WIDTH, scores.type.tensor_type.shape.dim[1].dim_value)),
    }
    for name, values in weights.items():
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    for node in graph.node:  # other readers of the scores keep reading the original ones
        node.output[:] = ["slow_before" if name == "scores" else name for name in node.output]
        node.input[:] = ["slow_before" if name == "scores" else name for name in node.input]
    nodes = [onnx.helper.make_node("MatMul", ["features", "slow_in"], ["slow_0"])]
    for layer in range(depth):
        nodes.append(onnx.helper.make_node("MatMul", [f"slow_{layer}", "slow_square"], [f"slow_product_{layer}"]))
        nodes.append(onnx.helper.make_node("Tanh", [f"slow_product_{layer}"], [f"slow_{layer + 1}"]))
    nodes.append(onnx.helper.make_node("MatMul", [f"slow_{depth}", "slow_out"], ["slow_nothing"]))
    nodes.append(onnx.helper.make_node("Add", ["slow_before", "slow_nothing"], ["scores"]))
    graph.node.extend(nodes)
    slow: bytes = model.SerializeToString()
    return slow
