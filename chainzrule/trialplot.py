"""Draws what withholding rows would bring, by each measure, and where a policy stands among these."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from chainzrule.trial import WITHHELD, Trial, errors_by_coverage

COLOURS = {"probability": "#0072b2", "flip_probability": "#d55e00", "volatility": "#999999", "novelty": "#009e73"}


def draw(trial: Trial, title: str, of_labels: bool, costs: Mapping[str, float], path: Path) -> None:
    """Draws the error, and where there are costs also the cost, against the share of rows that is answered."""
    with mpl.rc_context({"svg.hashsalt": "chainzrule", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(9.0 if costs else 5.0, 3.4), layout="constrained")
        axes = np.atleast_1d(np.asarray(figure.subplots(1, 2 if costs else 1)))
        rows = len(trial.own)
        coverage = np.arange(1, rows + 1) / rows
        answered = ~trial.of(*WITHHELD)
        share = float(answered.mean())
        for name, doubt in trial.doubt.items():
            errors = errors_by_coverage(doubt, trial.own)
            axes[0].plot(coverage, errors, color=COLOURS[name], label=f"least {name.replace('_', ' ')} first"
                         if name != "probability" else "largest probability first", linewidth=1.0)  # fmt: skip
            if costs:
                cost = costs.get("error", 0.0) * errors * coverage * rows
                cost = cost + costs.get("abstain", 0.0) * rows * (1.0 - coverage)
                axes[1].plot(coverage, cost, color=COLOURS[name], linewidth=1.0)
        if answered.any() and any(decision.action != "answer" for decision in trial.decisions):
            axes[0].plot(share, trial.loss[answered].mean(), "k*", markersize=9, label="the policy")
            if costs:
                axes[1].plot(share, trial.cost(costs), "k*", markersize=9)
        error = "share of wrong labels" if of_labels else "mean distance from the truth"
        axes[0].set(xlabel="share of rows answered", ylabel=f"{error} among these", title=title, ylim=(0.0, None))
        axes[0].legend(fontsize=7)
        if costs:
            axes[1].set(xlabel="share of rows answered", ylabel="cost of all rows", ylim=(0.0, None))
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
