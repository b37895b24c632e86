"""Writes the figures as tables, and names what was lost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

OURS = "ChainzRule"
GOOD = {"log_loss": -1, "r2": 1}  # the figure that decides, and which way is better


def report(content: Mapping[str, Any]) -> str:
    """Returns everything as Markdown."""
    tables = content["tables"]
    contenders = list(next(iter(tables.values()))["splits"][0]["contenders"])
    lines = [
        f"{len(tables)} tables, {content['seeds']} random splits each, a fifth of the rows for the test. Mean log",
        "loss (less is better) or R2 (more is better), ± the standard error of the mean over the splits. Best in bold.",
        "",
        "| table, rows | | " + " | ".join(contenders) + " |",
        "|---|---|" + "---|" * len(contenders),
    ]
    for name, table in tables.items():
        figure = deciding(table)
        means = {one: _figures(table, one, figure) for one in contenders}
        best = max(contenders, key=lambda one: GOOD[figure] * float(np.mean(means[one])))
        cells = []
        for one in contenders:
            cell = f"{np.mean(means[one]):.3f} ± {_error(means[one]):.3f}"
            cells.append(f"**{cell}**" if one == best else cell)
        lines.append(f"| {name}, {table['rows']:,} | {figure.replace('_', ' ')} | {' | '.join(cells)} |")
    scores = normalised(tables, contenders)
    seconds = {
        one: float(
            np.mean([split["contenders"][one]["seconds"] for table in tables.values() for split in table["splits"]])
        )
        for one in contenders
    }
    cells = " | ".join(f"{np.mean(list(scores[one].values())):.3f}" for one in contenders)
    lines.append(f"| mean normalised score | | {cells} |")
    lines.append("| mean seconds of a fit | | " + " | ".join(f"{seconds[one]:.1f}" for one in contenders) + " |")
    lines += [
        "",
        "The normalised score of a split is 1 for its best contender and 0 for its worst. Lost, by table:",
        "",
    ]
    lines += losses(tables, contenders)
    return "\n".join(lines)


def deciding(table: Mapping[str, Any]) -> str:
    """Returns the figure by which a table is decided."""
    return "r2" if table["task"] == "regression" else "log_loss"


def normalised(tables: Mapping[str, Any], contenders: Sequence[str]) -> dict[str, dict[str, float]]:
    """Returns by contender and table the mean over the splits of the score between the worst, 0, and the best, 1."""
    found: dict[str, dict[str, float]] = {one: {} for one in contenders}
    for name, table in tables.items():
        figure = deciding(table)
        values = np.array(
            [[GOOD[figure] * split["contenders"][one][figure] for one in contenders] for split in table["splits"]]
        )
        worst, best = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
        scores = (values - worst) / np.where(best > worst, best - worst, 1.0)
        for one, score in zip(contenders, scores.mean(axis=0), strict=True):
            found[one][name] = float(score)
    return found


def losses(tables: Mapping[str, Any], contenders: Sequence[str]) -> list[str]:
    """Returns a line for every table on which some rival is better than ours by more than two standard errors."""
    lines = []
    for name, table in tables.items():
        figure = deciding(table)
        own = _figures(table, OURS, figure)
        for rival in contenders:
            gains = GOOD[figure] * (_figures(table, rival, figure) - own)
            if not rival.startswith(OURS) and gains.mean() > 2 * _error(gains) and gains.mean() > 0:
                lines.append(
                    f"* {name}: to {rival}, by {gains.mean():.3f} ± {_error(gains):.3f} of {figure.replace('_', ' ')}"
                )
    return lines or ["* nothing beyond two standard errors"]


def _figures(table: Mapping[str, Any], contender: str, figure: str) -> Any:
    return np.array([split["contenders"][contender][figure] for split in table["splits"]])


def _error(values: Any) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
