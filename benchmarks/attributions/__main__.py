"""`python -m benchmarks.attributions`: integrated gradients by the service's own parts, and by Captum.

Same network, same rows and baseline, one thread each, in turns in one process. Attributed is the lead of each row's
label over its runner-up. ChainzRule takes the gradients from the exported jacobian graph, at as many Gauss-Legendre
nodes as make the integral exact. Captum runs at the same nodes, at its default of 50, and by its trapezoids. The error
is the largest gap between the sum of a row's parts and the difference of the leads, over the range of these. Times are
processor time, which neighbours on a machine change least.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.attributions.report import table
from chainzrule.service.artifact.features import NumericFeature
from chainzrule.service.memory import keep_freed_memory
from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.service.stability.attributions import Paths, attributed
from chainzrule.service.stability.link import link_of
from chainzrule.training.columns import Columns
from chainzrule.training.export.onnx import export_graphs
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.link import TargetScale
from chainzrule.training.nn.network import ChainzRuleNetwork

# Inputs, hidden layers, scores, degree, and the nodes at which scores of that degree are integrated exactly.
SHAPES = {
    "breast cancer, 30-16-16-2, degree 2": (30, (16, 16), 2, 2, 2),
    "digits, 784-96-96-10, degree 3": (784, (96, 96), 10, 3, 5),
}
BATCHES = (1, 64, 256)
OURS = "ChainzRule"
DEFAULT = 50  # Captum's own number of nodes
PARTS = 2**20  # derivatives in one run, as in the service

Contender = Callable[[], NDArray[np.floating[Any]]]


def contenders(
    inputs: int, hidden: tuple[int, ...], scores: int, degree: int, nodes: int, batch: int
) -> tuple[dict[str, Contender], NDArray[np.float64]]:
    """Returns the ways to attribute the same leads, each (batch, D), and by how much the leads differ, (batch,)."""
    from captum.attr import IntegratedGradients

    features = tuple(
        NumericFeature(name=f"x{n}", mean=0.0, std=1.0, low=-3.0, high=3.0, noise=0.1) for n in range(inputs)
    )
    network = ChainzRuleNetwork(inputs, hidden, scores, degree=degree, generator=torch.Generator().manual_seed(1))
    model, link = (
        FittedModel("classification", network, Columns.of(features, None), TargetScale()),
        link_of("classification", scores),
    )
    graphs = export_graphs(model)
    execution = Execution("cpu", threads=1)
    answer, slopes = (
        Graph(graphs["model"], "model.onnx", execution),
        Graph(graphs["jacobian"], "jacobian.onnx", execution),
    )
    random = np.random.default_rng(1)
    rows, start = (random.normal(size=(count, inputs)).astype(np.float32) for count in (batch, 1))
    found = answer.run(rows)["scores"].astype(np.float64)
    order = np.argsort(-found, axis=1)
    label, over = order[:, 0], order[:, 1]
    origin = np.resize(answer.run(start)["scores"], found.shape)
    change = attributed(link, label, over, found) - attributed(link, label, over, origin)

    def ours() -> NDArray[np.float64]:
        answer.run(start)  # the service knows the rows' scores, and asks for the baseline's to say what is missing
        paths = Paths(np.broadcast_to(start, rows.shape), rows, [])
        size, parts = max(1, PARTS // (scores * inputs * nodes)), []
        for begin in range(0, batch, size):
            part = slice(begin, min(begin + size, batch))
            points, steps = paths.stations(nodes, part)
            jacobian = slopes.run(points.reshape(-1, inputs))["jacobian"]
            own, other = np.repeat(label[part], nodes), np.repeat(over[part], nodes)
            parts.append((attributed(link, own, other, jacobian).reshape(steps.shape) * steps).sum(axis=1))
        return np.concatenate(parts)

    def lead(x: torch.Tensor, own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        s: torch.Tensor = network(x)
        return (s.gather(1, own[:, None]) - s.gather(1, other[:, None]))[:, 0]

    method, x, from_ = IntegratedGradients(lead), torch.from_numpy(rows), torch.from_numpy(start)
    labels = torch.from_numpy(label), torch.from_numpy(over)

    def captum(count: int, rule: str) -> Contender:
        def run() -> NDArray[np.floating[Any]]:
            given = {"baselines": from_, "additional_forward_args": labels, "n_steps": count, "method": rule}
            return np.asarray(method.attribute(x, **given).detach().numpy())

        return run

    ways: dict[str, Contender] = {OURS: ours}
    for count in (nodes, DEFAULT):
        ways[f"Captum, {count} Gauss-Legendre nodes"] = captum(count, "gausslegendre")
    ways[f"Captum, {DEFAULT} trapezoids"] = captum(DEFAULT, "riemann_trapezoid")
    return ways, change


def measure(
    ways: dict[str, Contender], change: NDArray[np.float64], rounds: int, calls: int
) -> dict[str, dict[str, Any]]:
    """Returns of each way its error and the seconds of processor time per call in every round; the ways take turns."""
    found: dict[str, dict[str, Any]] = {}
    unit = max(float(np.ptp(change)), float(np.abs(change).max()))
    for name, way in ways.items():
        missed = np.abs(way().sum(axis=1, dtype=np.float64) - change).max()
        found[name] = {"error": float(missed) / unit, "seconds": []}
    for _ in range(rounds):
        for name, way in ways.items():
            begin = time.process_time()
            for _ in range(calls):
                way()
            found[name]["seconds"].append((time.process_time() - begin) / calls)
    return found


def faster(result: dict[str, dict[str, Any]], name: str) -> float:
    """Returns how many times as long a way takes as ours, as the median of the rounds' own ratios."""
    pairs = zip(result[name]["seconds"], result[OURS]["seconds"], strict=True)
    return statistics.median(slow / fast for slow, fast in pairs)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attributions", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--rounds", type=int, default=20, help="rounds (default %(default)s)")
    parser.add_argument("--calls", type=int, default=3, help="calls a round and way (default %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/attributions/results"), help="folder for the results"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as the service does, and for all ways alike
    results = []
    for network, shape in SHAPES.items():
        for batch in tqdm(BATCHES, desc=network, unit="batch"):
            ways, change = contenders(*shape, batch)
            found = measure(ways, change, arguments.rounds, arguments.calls)
            summary = {
                name: {
                    "error": one["error"],
                    "milliseconds": 1e3 * statistics.median(one["seconds"]),
                    "over_ours": faster(found, name),
                }
                for name, one in found.items()
            }
            results.append({"network": network, "rows": batch, "ways": summary})
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "attributions.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.output / "attributions.md").write_text(table(results) + "\n")
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
