"""Writes the comparison as a table and as a picture."""

from pathlib import Path
from typing import Any


def table(results: dict[str, Any]) -> str:
    """Returns rates, latencies and processor time, with each server's ratio to the service, as Markdown."""
    start = results["start"]
    lines = [
        f"{results['machine']}; medians of {results['rounds']} interleaved rounds of {results['seconds']:g} s.",
        "CPU is the server's processor time a request. The last two columns say how many times as many requests the",
        "service answers, and how many times as much processor time the other takes.",
        "",
        f"Cold start to READY with the shipped models: {start['seconds']:.2f} s "
        f"({start['cpu']:.2f} s of processor time); idle memory {start['memory']:.0f} MB.",
        "",
        "| workload | server | requests/s | p50 ms | p99 ms | CPU us | failed | service is | by CPU |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for workload in results["workloads"].values():
        ours = workload["servers"]["chainzrule"]
        for name, seen in workload["servers"].items():
            lines.append(
                f"| {workload['title']} | {name} | {seen['rate']:,.0f} | {1e3 * seen['p50']:.2f} | "
                f"{1e3 * seen['p99']:.2f} | {1e6 * seen['cpu']:,.0f} | {seen['failed']:.0f} | "
                f"{ours['rate'] / seen['rate']:.2f}x | {seen['cpu'] / ours['cpu']:.2f}x |"
            )
        for name, rate in workload["graph"].items():
            lines.append(
                f"| {workload['title']} | graph {name}, in process | {rate:,.0f} | | | {1e6 / rate:,.0f} | | | |"
            )
    return "\n".join(lines)


def plot(results: dict[str, Any], path: Path) -> None:
    """Plots the rates relative to the echo, by workload."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    workloads = results["workloads"]
    names = list(dict.fromkeys(name for workload in workloads.values() for name in workload["servers"]))
    figure, axes = plt.subplots(figsize=(11, 4.5), layout="constrained")
    width = 0.85 / len(names)
    for offset, name in enumerate(names):
        heights = [
            workload["servers"][name]["rate"] / workload["servers"]["echo"]["rate"]
            if name in workload["servers"]
            else 0
            for workload in workloads.values()
        ]
        axes.bar([x + offset * width for x in range(len(heights))], heights, width, label=name)
    titles = [workload["title"].replace(": ", "\n").replace(", ", "\n") for workload in workloads.values()]
    axes.set_xticks([x + 0.42 - width / 2 for x in range(len(workloads))], titles, fontsize=8)
    axes.set_ylabel("requests per second over the echo's")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)
