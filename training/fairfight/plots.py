"""Draws the report's plots as SVG: score against parameters, derivatives' distribution, and their growth by layer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from chainzrule.training.fairfight.methods import METHODS
from chainzrule.training.fairfight.plan import BUDGETS
from chainzrule.training.fairfight.summary import Group

COLOURS = ("#0072b2", "#56b4e9", "#999999", "#d55e00", "#e69f00", "#009e73", "#cc79a7", "#000000")


def draw(made: Sequence[Group], results: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Draws one file per problem and per portrait, and returns them; the same results give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context({"svg.hashsalt": "chainzrule", "svg.fonttype": "none", "font.size": 9}):
        names = dict.fromkeys(group.problem for group in made)
        written += [_save(_curves(name, made), folder / f"{name}.svg") for name in names]
        portraits = [result for result in results if result["trial"]["stage"] == "portrait" and result["figures"]]
        for name in dict.fromkeys(result["trial"]["problem"] for result in portraits):
            here = [result for result in portraits if result["trial"]["problem"] == name]
            written.append(_save(_portrait(name, here), folder / f"{name}-derivatives.svg"))
    return written


def _curves(name: str, made: Sequence[Group]) -> Figure:
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    budget = BUDGETS[name]
    for number, method in enumerate(METHODS):
        points = sorted(
            (group.parameters, list(group.scores.values()), list(group.figure("peak_p99").values()))
            for group in made
            if group.problem == name and group.method == method and group.scores and not group.config["rows"]
        )
        if not points:
            continue
        colour = COLOURS[number % len(COLOURS)]
        sizes = [point[0] for point in points]
        means = [float(np.mean(point[1])) for point in points]
        spreads = [float(np.std(point[1])) for point in points]
        peaks = [float(np.mean(point[2])) for point in points]
        if len(points) > 2:
            left.errorbar(sizes, means, spreads, color=colour, label=METHODS[method].title, marker="o", markersize=3)
        style = "o-" if len(points) > 2 else "x"
        right.plot(peaks, means, style, color=colour, markersize=3, label=METHODS[method].title, linewidth=0.8)
    left.set(xscale="log", xlabel="parameters", ylabel=budget.metric, title=name)
    right.set(xlabel="peak (p99 of the input-gradient norm)", ylabel=budget.metric, title="better is "
              + ("up" if budget.metric == "accuracy" else "down") + " and left")  # fmt: skip
    if budget.metric == "rmse":
        left.set_yscale("log")
        right.set_yscale("log")
    right.legend(fontsize=6)
    return figure


def _portrait(name: str, results: Sequence[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, result in enumerate(results):
        title, colour = METHODS[result["trial"]["method"]].title, COLOURS[number % len(COLOURS)]
        quantiles = np.array(result["figures"]["gradient_quantiles"])
        left.plot(quantiles, 1 - np.linspace(0, 1, len(quantiles)), color=colour, label=title)
        layers = result["figures"]["layer_norms"]
        right.plot(range(1, len(layers) + 1), layers, "o-", color=colour, label=title)
    left.set(yscale="log", ylim=(1e-3, 1), xlabel="input-gradient norm g", ylabel="share of rows above", title=name)
    right.set(xlabel="after layer", ylabel="mean norm of d layer / d features", title="layer by layer", yscale="log")
    right.xaxis.get_major_locator().set_params(integer=True)
    left.legend(fontsize=6)
    return figure


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})
    return path
