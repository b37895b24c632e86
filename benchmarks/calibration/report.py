"""Writes the figures as tables and as a picture."""

from pathlib import Path
from typing import Any

from chainzrule.service.artifact.evidence import Calibration


def table(results: dict[str, Any]) -> str:
    """Returns the figures of every network at every noise scale, as Markdown."""
    lines = [
        f"Up to {results['rows']:,} rows, {results['draws']} draws of the card's noise a row, seed {results['seed']}.",
        "",
        "AUROC: which rows flip in at least 5% of the draws, then which single draws do. Softmax: by the largest",
        "probability alone. Best: which single draws flip, by each row's own share of flips; no chance can do more.",
        "",
        "| model | network | noise scale | flips | AUROC | softmax | best | ECE | Brier skill | error on uncertain "
        "rows (number) | volatility over Monte-Carlo: p5, median, p95 (rows) |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for subject in results["subjects"]:
        for level in Calibration.model_validate(subject["calibration"]).noise_scales:
            low, middle, high = level.volatility_ratio or (float("nan"),) * 3
            flips = (
                f"{100 * level.flip_rate:.2f}% | {_figure(level.auroc)}, {_figure(level.auroc_draws)} | "
                f"{_figure(level.auroc_softmax)}, {_figure(level.auroc_draws_softmax)} | "
                f"{_figure(level.auroc_draws_best)} | {_figure(level.calibration_error)} | "
                f"{_figure(level.brier_skill, 3)} | {_figure(level.uncertain_error)} ({level.uncertain_rows})"
                if level.flip_rate is not None
                else "| | | | | |"
            )
            lines.append(
                f"| {subject['model']} | {subject['network']} | {level.noise_scale:g} | {flips} | "
                f"{low:.2f}, {middle:.3f}, {high:.2f} ({level.volatility_rows}) |"
            )
    return "\n".join(lines)


def _figure(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def plot(results: dict[str, Any], path: Path, model: str = "digits") -> None:
    """Plots the reliability of one model's networks: seen against stated chances, a panel per noise scale from 2 on."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    subjects = [subject for subject in results["subjects"] if subject["model"] == model]
    if not subjects:
        return
    scales = [level["noise_scale"] for level in subjects[0]["calibration"]["noise_scales"] if level["noise_scale"] >= 2]
    figure, axes = plt.subplots(1, len(scales), figsize=(4 * len(scales), 4.2), layout="constrained", squeeze=False)
    for axis, scale in zip(axes[0], scales, strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for subject in subjects:
            for level in subject["calibration"]["noise_scales"]:
                if level["noise_scale"] == scale:
                    bins = level["reliability"]
                    stated, seen = [part["stated"] for part in bins], [part["seen"] for part in bins]
                    axis.plot(stated, seen, marker="o", markersize=3, label=subject["network"])
        axis.set_title(f"{model}, noise scale {scale:g}")
        axis.set_xlabel("stated flip probability")
    axes[0][0].set_ylabel("share of draws that flip")
    axes[0][0].legend(fontsize=7)
    figure.savefig(path, dpi=120)
