"""Writes the figures as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.reviews.contest import ENCODINGS, METHODS

FIGURES = ("accuracy", "mae", "quadratic_kappa")


def report(found: Mapping[str, Any]) -> str:
    """Returns one table per encoding, with the best figures in bold."""
    recipe = found["recipe"]
    rows = next(iter(found["encodings"].values()))["rows"]
    lines = [
        "# Five-level reviews",
        "",
        f"{rows['train']:,} Yelp reviews to train on, as many of every level; settings chosen from nine by the loss on "
        f"{rows['validation']:,} balanced reviews of the validation file; judged on the {rows['natural']:,} test "
        f"reviews as they come (natural) and on {rows['balanced']:,} of them, as many of every level (balanced). "
        f"Networks of {'-'.join(map(str, recipe['hidden']))} hidden neurons with an ordinal output, "
        f"{recipe['epochs']} epochs, {recipe['batch']} reviews a step; mean ± standard deviation over "
        f"{len(recipe['seeds'])} seeds of initialisation and order. Logistic regression chooses among five labels and "
        "has no seed. The test reviews' own sampling error, not in the ±, is about "
        f"{100 * (0.25 / rows['balanced']) ** 0.5:.1f} points of balanced accuracy. Peak: 99th percentile of the "
        "input-gradient norm over the first 2,000 test reviews.",
    ]
    for part in found["encodings"].values():
        lines += ["", f"## {ENCODINGS[part['encoding']]}, {part['inputs']} numbers a review", "", *_table(part)]
    return "\n".join(lines)


def _table(part: Mapping[str, Any]) -> list[str]:
    lines = [
        "| method | parameters | balanced accuracy | MAE | kappa | natural accuracy | MAE | kappa | peak |",
        "|---|---|---|---|---|---|---|---|---|",
        _guess(part["shares"]),
    ]
    tested = [result for result in part["results"] if result["stage"] == "test"]
    methods = [name for name in METHODS if any(_of(name, tested))]
    columns = [(rows, figure) for rows in ("balanced", "natural") for figure in FIGURES]
    means = {
        name: [np.mean([result["figures"][rows][figure] for result in _of(name, tested)]) for rows, figure in columns]
        for name in methods
    }
    best = [
        (min if figure == "mae" else max)(means[name][place] for name in methods)
        for place, (_, figure) in enumerate(columns)
    ]
    for name in methods:
        cells = []
        for place, (rows, figure) in enumerate(columns):
            shown = _cell([result["figures"][rows][figure] for result in _of(name, tested)], figure == "accuracy")
            cells.append(f"**{shown}**" if means[name][place] == best[place] else shown)
        peak = np.mean([result["figures"]["peak_p99"] for result in _of(name, tested)])
        diverged = sum(result["figures"] is None for result in tested if result["method"] == name)
        title = METHODS[name] + (f", {diverged} diverged" if diverged else "")
        lines.append(f"| {title} | {_of(name, tested)[0]['parameters']:,} | {' | '.join(cells)} | {peak:.3f} |")
    return lines


def _guess(shares: Sequence[float]) -> str:
    """Returns the line of always answering the median level, which has the smallest mean absolute error."""
    levels, even = np.arange(len(shares)), np.full(len(shares), 1 / len(shares))
    cells = []
    for share in (even, np.asarray(shares)):
        median = int(np.searchsorted(np.cumsum(share), 0.5))
        cells += [f"{100 * share[median]:.1f}", f"{share @ np.abs(levels - median):.3f}", "0"]
    return f"| Always the median level | | {' | '.join(cells)} | 0 |"


def _of(method: str, results: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [result for result in results if result["method"] == method and result["figures"]]


def _cell(values: Sequence[float], percent: bool) -> str:
    scale, digits = (100, 1) if percent else (1, 3)
    numbers = scale * np.array(values)
    return f"{numbers.mean():.{digits}f}" + (f" ± {numbers.std(ddof=1):.{digits}f}" if len(numbers) > 1 else "")
