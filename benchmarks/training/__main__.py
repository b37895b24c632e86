"""`python -m benchmarks.training`: time the training steps of several methods side by side.

Every round times a few steps of each contender, in an order that rotates, so that a slow minute of the machine hurts
all alike. Ratios are taken within a round, and their median and quartiles over the rounds are reported; beside them the
ratio of the fastest rounds, which other work on the machine disturbs least. Rows and labels are random: what a step
costs does not depend on what is learned.
"""

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.training.steps import Shape, Step, steps

BATCHES = 8  # different batches, so that no network memorises them


def measure(shape: Shape, device: torch.device, threads: list[int], rounds: int, count: int) -> list[dict[str, Any]]:
    """Returns milliseconds per step of every contender, by number of threads."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCHES, shape.batch, shape.inputs, generator=generator).to(device)
    y = torch.randint(shape.scores, (BATCHES, shape.batch), generator=generator).to(device)
    contenders = steps(shape, device)
    names = list(contenders)
    times: dict[int, dict[str, list[float]]] = {number: {name: [] for name in names} for number in threads}
    for turn in tqdm(range(rounds + 1), desc=str(device), unit="round", leave=False):
        for number in threads:
            torch.set_num_threads(number)
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                milliseconds = _time(contenders[name], x, y, count)
                if turn:  # the first round warms up
                    times[number][name].append(milliseconds)
    return [summary(str(device), number, times[number]) for number in threads]


def _time(step: Step, x: torch.Tensor, y: torch.Tensor, count: int) -> float:
    _synchronise(x.device)
    begin = time.perf_counter()
    for number in range(count):
        step(x[number % BATCHES], y[number % BATCHES])
    _synchronise(x.device)
    return (time.perf_counter() - begin) / count * 1e3


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def summary(device: str, threads: int, times: dict[str, list[float]]) -> dict[str, Any]:
    """Returns milliseconds and ratios to the first contender, round by round."""
    first = next(iter(times.values()))
    contenders = {}
    for name, seen in times.items():
        ratios = [mine / other for mine, other in zip(seen, first, strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4)
        contenders[name] = {
            "fastest_ms": min(seen),
            "median_ms": statistics.median(seen),
            "ratio_of_fastest": min(seen) / min(first),
            "ratio_median": statistics.median(ratios),
            "ratio_quartiles": [low, high],
        }
    controlled = times["ChainzRule, DREG per layer"]
    return {
        "device": device,
        "threads": threads,
        "contenders": contenders,
        "dreg_per_layer_over": {
            name: {
                "ratio_of_fastest": min(controlled) / min(times[name]),
                "ratio_median": statistics.median(a / b for a, b in zip(controlled, times[name], strict=True)),
            }
            for name in ("ChainzRule", "ReLU, input-gradient penalty", "ChainzRule, input-gradient penalty")
        },
    }


def table(results: list[dict[str, Any]]) -> str:
    """Returns one Markdown table for each device and number of threads."""
    lines = []
    for result in results:
        lines += [
            f"{result['device']}, {result['threads']} thread{'s' if result['threads'] > 1 else ''}",
            "",
            "| step | fastest ms | median ms | to ReLU: fastest | median | quartiles |",
            "|---|---|---|---|---|---|",
            *(
                f"| {name} | {c['fastest_ms']:.2f} | {c['median_ms']:.2f} | {c['ratio_of_fastest']:.2f} | "
                f"{c['ratio_median']:.2f} | {c['ratio_quartiles'][0]:.2f} to {c['ratio_quartiles'][1]:.2f} |"
                for name, c in result["contenders"].items()
            ),
            "",
            "| ChainzRule, DREG per layer, over | fastest | median |",
            "|---|---|---|",
            *(
                f"| {name} | {ratio['ratio_of_fastest']:.2f} | {ratio['ratio_median']:.2f} |"
                for name, ratio in result["dreg_per_layer_over"].items()
            ),
            "",
        ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--rounds", type=int, default=60, help="rounds, at least 2 (default 60)")
    parser.add_argument("--steps", type=int, default=4, help="steps a contender and round (default 4)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of CPU threads (default 1 2)")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/training/results"), help="folder for JSON and table"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 2 or arguments.steps < 1 or min(arguments.threads) < 1:
        parser.error("--rounds must be at least 2, --steps and --threads at least 1")
    shape = Shape()
    load = os.getloadavg()[0]
    results = measure(shape, torch.device("cpu"), arguments.threads, arguments.rounds, arguments.steps)
    if torch.cuda.is_available():
        results += measure(shape, torch.device("cuda"), [1], arguments.rounds, arguments.steps)
    report = {
        "shape": asdict(shape),
        "rounds": arguments.rounds,
        "steps": arguments.steps,
        "load_before": load,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "results": results,
    }
    text = table(results)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "training.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (arguments.output / "training.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
