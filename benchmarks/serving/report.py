"""The comparison as a table and as a picture."""

from pathlib import Path
from typing import Any


def table(results: dict[str, Any]) -> str:
    """Requests per second and latencies, with each server's ratio to the service, as Markdown."""
    lines = [
        f"{results['machine']}; medians of {results['rounds']} interleaved rounds of {results['seconds']:g} s.",
        "",
        "| workload | server | requests/s | p50 ms | p99 ms | failed | service is |",
        "|---|---|---|---|---|---|---|",
    ]
    for workload in results["workloads"].values():
        ours = workload["servers"]["chainzrule"]["rate"]
        for name, seen in workload["servers"].items():
            lines.append(
                f"| {workload['title']} | {name} | {seen['rate']:,.0f} | {1e3 * seen['p50']:.2f} | "
                f"{1e3 * seen['p99']:.2f} | {seen['failed']:.0f} | {ours / seen['rate']:.2f}x |"
            )
        lines.append(f"| {workload['title']} | graph in process | {workload['in_process']:,.0f} | | | | |")
    return "\n".join(lines)


def plot(results: dict[str, Any], path: Path) -> None:
    """Rates relative to the echo, by workload."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    workloads = results["workloads"]
    names = list(dict.fromkeys(name for workload in workloads.values() for name in workload["servers"]))
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    width = 0.8 / len(names)
    for offset, name in enumerate(names):
        heights = [
            workload["servers"][name]["rate"] / workload["servers"]["echo"]["rate"]
            if name in workload["servers"]
            else 0
            for workload in workloads.values()
        ]
        axes.bar([x + offset * width for x in range(len(heights))], heights, width, label=name)
    titles = [workload["title"].replace(": ", "\n").replace(", ", "\n") for workload in workloads.values()]
    axes.set_xticks([x + 0.4 - width / 2 for x in range(len(workloads))], titles, fontsize=8)
    axes.set_ylabel("requests per second over the echo's")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)
