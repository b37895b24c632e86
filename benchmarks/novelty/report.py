"""Writes the figures as Markdown."""

from typing import Any

import numpy as np


def report(results: dict[str, Any]) -> str:
    """Returns the tables of digits and tables."""
    return "\n".join([*_digits(results["digits"]), "", *_tables(results["tables"])]) + "\n"


def _digits(found: dict[str, Any]) -> list[str]:
    kinds = dict(found["kinds"])
    usual = kinds.pop("test digits")
    names = list(next(iter(kinds.values()))["auroc"])
    lines = [
        "# Shipped digits",
        "",
        f"{found['rows']:,} test digits as they are, and 2,000 of them made into something else. Mahalanobis's",
        f"distance (from the nearest class) and neighbours are by {found['known']:,} digits in 100 components.",
        "AUROC, then what the service answers: the share that is novel, the share that is `stable`, and in brackets",
        "the share that was before novelty counted.",
        "",
        f"| kind | {' | '.join(names)} | novel | stable |",
        f"|---|{'---|' * (len(names) + 2)}",
    ]
    for kind, figures in kinds.items():
        best = max(figures["auroc"].values())
        shown = [f"**{value:.4f}**" if value == best else f"{value:.4f}" for value in figures["auroc"].values()]
        lines.append(f"| {kind} | {' | '.join(shown)} | {_share(figures['novel'])} | {_answered(figures)} |")
    lines += [
        f"| test digits | {' | ' * len(names)}{_share(usual['novel'])} | {_answered(usual)} |",
        "",
        f"With the limit from a random half of the test digits, {_share(found['fresh_false_alarms'])} of the others "
        "are novel (mean of 200 splits).",
    ]
    return lines


def _tables(found: dict[str, Any]) -> list[str]:
    names = list(found)
    kinds = list(found[names[0]]["kinds"])
    scores = list(found[names[0]]["kinds"][kinds[0]]["auroc"])
    lines = [
        "# Tables",
        "",
        "A fifth of the rows at a time is fresh: neither the densities nor the limit know it. Every row is spoilt",
        "in each way. AUROC of the novelty by table, then means over the tables: of the novelty, of",
        f"{' and '.join(scores[1:])}, and the share that is novel.",
        "",
        f"| kind | {' | '.join(names)} | {' | '.join(f'mean, {score}' for score in scores)} | novel |",
        f"|---|{'---|' * (len(names) + len(scores) + 1)}",
    ]
    for kind in kinds:
        own = [found[name]["kinds"][kind] for name in names]
        values = [one["auroc"][scores[0]] for one in own]
        means = [float(np.mean([one["auroc"][score] for one in own])) for score in scores]
        novel = float(np.mean([one["novel"] for one in own]))
        lines.append(f"| {kind} | {_figures(values)} | {_figures(means)} | {_share(novel)} |")
    over = [
        float(np.mean([found[name]["kinds"][kind]["auroc"][score] for name in names for kind in kinds]))
        for score in scores
    ]
    own = [float(np.mean([found[name]["kinds"][kind]["auroc"][scores[0]] for kind in kinds])) for name in names]
    everything = float(np.mean([found[name]["kinds"][kind]["novel"] for name in names for kind in kinds]))
    alarms = [found[name]["false_alarms"] for name in names]
    blank = " | " * len(scores[1:])
    lines += [
        f"| mean | {_figures(own)} | {_figures(over)} | {_share(everything)} |",
        f"| false alarms | {' | '.join(map(_share, alarms))} | {_share(float(np.mean(alarms)))} | {blank} |",
        f"| rows | {' | '.join(str(found[name]['rows']) for name in names)} | {' | ' * len(scores)} |",
    ]
    return lines


def _figures(values: list[float]) -> str:
    return " | ".join(f"{value:.3f}" for value in values)


def _share(value: float) -> str:
    return f"{100 * value:.1f}%"


def _answered(figures: dict[str, float]) -> str:
    return f"{_share(figures['stable'])} ({_share(figures['steady'])})"
