"""`python -m benchmarks.saliency`: time the full Jacobian of batches, by the exported graph and by Captum.

Same network, same rows, one thread each, in turns in one process: ChainzRule's jacobian graph in ONNX Runtime, Captum's
Saliency called for every output, and torch's own vectorised reverse mode (`jacrev` under `vmap`). Every answer is held
to the others first. Ratios are of a round's times; their median over the rounds is reported.
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

from chainzrule.service.artifact.features import NumericFeature
from chainzrule.service.memory import keep_freed_memory
from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.training.columns import Columns
from chainzrule.training.export.onnx import export_graphs
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.link import TargetScale
from chainzrule.training.nn.network import ChainzRuleNetwork

SHAPES = {"digits, 784-96-96-10": (784, (96, 96), 10), "breast cancer, 30-16-16-2": (30, (16, 16), 2)}
BATCHES = (1, 64, 256)
TOLERANCE = 1e-4

Contender = Callable[[], NDArray[np.float32]]


def contenders(inputs: int, hidden: tuple[int, ...], scores: int, batch: int) -> dict[str, Contender]:
    """Returns the ways to compute the same (batch, S, D) Jacobian of a network with random weights."""
    from captum.attr import Saliency

    features = tuple(
        NumericFeature(name=f"x{n}", mean=0.0, std=1.0, low=-3.0, high=3.0, noise=0.1) for n in range(inputs)
    )
    network = ChainzRuleNetwork(inputs, hidden, scores, degree=3, generator=torch.Generator().manual_seed(1))
    model = FittedModel("classification", network, Columns.of(features, None), TargetScale())
    graph = Graph(export_graphs(model)["jacobian"], "jacobian.onnx", Execution("cpu", threads=1))
    rows = np.random.default_rng(1).normal(size=(batch, inputs)).astype(np.float32)
    x = torch.from_numpy(rows)

    def centred(x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = network(x)
        return found - found.mean(dim=-1, keepdim=True)

    saliency = Saliency(centred)
    reverse = torch.func.vmap(torch.func.jacrev(lambda row: centred(row[None])[0]))

    def captum() -> NDArray[np.float32]:
        leaf = x.clone().requires_grad_()
        return np.stack([saliency.attribute(leaf, target=k, abs=False).detach().numpy() for k in range(scores)], axis=1)

    return {
        "ChainzRule": lambda: graph.run(rows)["jacobian"],
        "Captum Saliency": captum,
        "torch.func.jacrev": lambda: reverse(x).detach().numpy(),
    }


def measure(ways: dict[str, Contender], rounds: int, calls: int) -> dict[str, list[float]]:
    """Returns the seconds per call in every round; the ways take turns."""
    answers = {name: way() for name, way in ways.items()}
    first = answers["ChainzRule"]
    for name, answer in answers.items():
        gap = float(np.abs(answer - first).max() / np.abs(first).max())
        if gap > TOLERANCE:
            raise SystemExit(f"{name} answers another Jacobian: {gap:.2g} off")
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begin = time.perf_counter()
            for _ in range(calls):
                way()
            times[name].append((time.perf_counter() - begin) / calls)
    return times


def table(results: list[dict[str, Any]]) -> str:
    lines = [
        "One thread each. Milliseconds are medians over the rounds, ratios medians of the rounds' own ratios.",
        "",
        "| network | rows | way | ms | ChainzRule is faster by |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        for name, times in result["seconds"].items():
            ratios = [slow / fast for slow, fast in zip(times, result["seconds"]["ChainzRule"], strict=True)]
            lines.append(
                f"| {result['network']} | {result['rows']} | {name} | {1e3 * statistics.median(times):.3f} | "
                f"{statistics.median(ratios):.1f}x |"
            )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.saliency", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--rounds", type=int, default=30, help="rounds (default %(default)s)")
    parser.add_argument("--calls", type=int, default=5, help="calls a round and way (default %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/saliency/results"), help="folder for the results"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as the service does, and for all ways alike
    results = [
        {
            "network": network,
            "rows": batch,
            "seconds": measure(contenders(*shape, batch), arguments.rounds, arguments.calls),
        }
        for network, shape in SHAPES.items()
        for batch in tqdm(BATCHES, desc=network, unit="batch")
    ]
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "saliency.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.output / "saliency.md").write_text(table(results) + "\n")
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
