"""Writes the report: tables, the claims in the paper's own form and in the fair one, and plots."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainzrule.training.fairfight import classical, plots
from chainzrule.training.fairfight.methods import METHODS
from chainzrule.training.fairfight.plan import BUDGETS, OURS
from chainzrule.training.fairfight.statistics import Curve, geometric_mean, holm, iso_ratio, paired_p, parameters_at
from chainzrule.training.fairfight.summary import ORDERED_MEANS, Group, groups, summary

RIVALS = ("relu", "gelu")
CLAIM = 15.5

TITLES: Mapping[str, str] = {name: method.title for name, method in METHODS.items()} | dict(classical.METHODS)

DEFINITIONS = """\
All figures are means over seeds, on test rows. Every method chose its setting from nine, on validation rows, at one
size: the one with the smallest peak among those within 0.1 point of accuracy (2% of error) of its best; below that size
penalties are as much weaker as the networks are narrower. *Peak* is the
99th percentile, and the maximum, of the norm of d probabilities / d standardised features (regression: of d output);
the *tail ratio* is the 99th percentile over the mean of the norm of d scores, to be read beside the level, since a
linear model has 1. *Noise* is Gaussian, half a standard deviation; *corrupted* the mean over blur, contrast, shift,
occlusion and speckle (images), or lost values and drifted sensors (others); *attacked* is projected gradient descent
with steps up to 0.1 standard deviations a feature. Errors are root mean squares in the target's standard deviation.
Seconds are of one core. p is a paired t-test over seeds against ChainzRule of the same size, with Holm's correction
over the methods of the table. Of ordered levels, *mae* is the mean absolute error in levels and *kappa* the quadratic
kappa; networks have an ordinal output there, the linear model and the trees choose among the levels as labels.
"""


COLUMNS = (
    *("method", "parameters", "seeds", "score", "p", "peak p99", "peak max", "tail ratio"),
    *("noise", "corrupted", "attacked"),
)


def write(results: Iterable[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Writes `summary.json`, `report.md` and its plots into `folder`, and returns what was written."""
    results = list(results)
    made, strengths = groups(results), groups(results, "strength")
    folder.mkdir(parents=True, exist_ok=True)
    problems = [name for name in BUDGETS if any(group.problem == name for group in made)]
    written = [folder / "summary.json", folder / "report.md"]
    written[0].write_text(json.dumps(summary(made), indent=1) + "\n", encoding="utf-8")
    written += plots.draw(made, results, folder / "plots")
    text = ["# The fair fight", "", DEFINITIONS, *_overview(made, problems)]
    for name in problems:
        text += _problem(name, [group for group in made if group.problem == name])
        text += _strengths(name, [group for group in (*strengths, *made) if group.problem == name])
    written[1].write_text("\n".join(text) + "\n", encoding="utf-8")
    return written


def _overview(made: Sequence[Group], problems: Sequence[str]) -> list[str]:
    lines = [
        "## What came out",
        "",
        "| problem | best method | its score | ChainzRule's best | ChainzRule is the best |",
    ]
    lines.append("|---|---|---|---|---|")
    for name in problems:
        mine = [group for group in made if group.problem == name and group.scores]
        higher = BUDGETS[name].metric == "accuracy"
        best = _best(mine, higher)
        ours = _best([group for group in mine if group.method == OURS], higher)
        if ours is None or best is None:
            continue
        answer = "yes" if best.method == OURS else "no"
        lines.append(
            f"| {name} | {TITLES[best.method]}, {best.parameters:,} parameters | {_mean(best.scores, higher)} | "
            f"{_mean(ours.scores, higher)} ({ours.parameters:,}) | {answer} |"
        )
    ratios: dict[str, list[float]] = {}
    for name in problems:
        for rival in RIVALS:
            if ratio := _largest(name, made, rival):
                ratios.setdefault(rival, []).append(ratio)
    for rival, values in ratios.items():
        lines += [
            "",
            f"Geometric mean over {len(values)} problems of the parameter ratio at the best score that both reach, "
            f"against {TITLES[rival]}: **{geometric_mean(values):.2f}**.",
        ]
    return [*lines, ""]


def _problem(name: str, made: Sequence[Group]) -> list[str]:
    budget = BUDGETS[name]
    higher = budget.metric == "accuracy"
    epochs = " or ".join(str(count) for count in sorted({group.config["epochs"] for group in made}))
    lines = [f"## {name}", "", f"{epochs} epochs, {budget.batch} rows a step.", ""]
    for hidden in budget.two:
        lines += _table(hidden, [group for group in made if group.hidden == hidden or group.hidden == ()], higher)
    lines += _curves(name, made, higher)
    lines += _claim(name, made, higher)
    lines += [f"![score against parameters](plots/{name}.svg)", ""]
    return lines


def _table(hidden: tuple[int, ...], made: Sequence[Group], higher: bool) -> list[str]:
    ours = next((group for group in made if group.method == OURS), None)
    if ours is None:
        return []
    corrected = holm([None if group is ours else paired_p(ours.scores, group.scores) for group in made])
    ordered = [name for name in ORDERED_MEANS if ours.figure(name)]
    columns = [*COLUMNS, *ordered, "s"]
    lines = [
        f"### Networks of the size of {'-'.join(map(str, hidden))}",
        "",
        "| " + " | ".join(columns) + " |",
        "|---" * len(columns) + "|",
    ]
    for group, p in zip(made, corrected, strict=True):
        name = TITLES[group.method] + (f" ({group.config['rows']:,} rows)" if group.config["rows"] else "")
        if group.diverged:
            name += f", {group.diverged} diverged"
        seconds = np.mean([run["seconds"] for run in group.runs.values()])
        cells = [_mean(group.figure(figure), None) for figure in ("peak_p99", "peak_max", "tail_ratio")]
        cells += [_mean(group.figure(figure), higher) for figure in ("noisy", "corrupted", "attacked")]
        cells += [_mean(group.figure(figure), False) for figure in ordered]
        lines.append(
            f"| {name} | {group.parameters:,} | {len(group.runs)} | {_mean(group.scores, higher)} | "
            f"{'' if p is None else f'{p:.3f}'} | {' | '.join(cells)} | {seconds:.1f} |"
        )
    relu = next((group for group in made if group.method == "relu"), None)
    if relu is not None:
        lines += ["", *_peaks(ours, relu, higher)]
    return [*lines, ""]


def _strengths(name: str, made: Sequence[Group]) -> list[str]:
    """Returns lines on accuracy against stability as the penalty grows, at the size with other strengths."""
    sizes = {group.hidden for group in made if group.stage == "strength"}
    rows = [group for group in made if group.method == OURS and group.hidden in sizes and group.scores]
    if not sizes or not rows:
        return []
    higher = BUDGETS[name].metric == "accuracy"
    lines = [
        f"### {name}: what the penalty costs",
        "",
        f"{rows[0].parameters:,} parameters, {len(rows[0].runs)} seeds.",
        "",
        "| factor of the penalty | score | peak p99 | peak max | attacked |",
        "|---|---|---|---|---|",
    ]
    for group in sorted(rows, key=lambda group: group.config["settings"]["strength"]):
        cells = [f"{group.config['settings']['strength']:g}{' (chosen)' if group.stage == 'test' else ''}"]
        cells += [_mean(group.scores, higher)]
        cells += [_mean(group.figure(figure), None) for figure in ("peak_p99", "peak_max")]
        lines.append(f"| {' | '.join([*cells, _mean(group.figure('attacked'), higher)])} |")
    return [*lines, ""]


def _peaks(ours: Group, relu: Group, higher: bool) -> list[str]:
    def reduction(figure: str) -> float:
        return 1 - float(np.mean([*ours.figure(figure).values()]) / np.mean([*relu.figure(figure).values()]))

    gap = float(np.mean([*ours.scores.values()]) - np.mean([*relu.scores.values()]))
    shown = f"{100 * gap:+.2f} points" if higher else f"{gap:+.4f}"
    return [
        f"Peak gradient volatility against the ReLU network's (the paper: 23.1% lower): p99 "
        f"{100 * reduction('peak_p99'):.0f}% lower, maximum {100 * reduction('peak_max'):.0f}% lower, "
        f"at a score that differs by {shown}."
    ]


def _curves(name: str, made: Sequence[Group], higher: bool) -> list[str]:
    methods = [method for method in METHODS if len(_curve(made, method)) > 2]
    measured = {group.hidden for group in made if group.method == OURS}
    if OURS not in methods:
        return []
    lines = ["### Score against parameters", "", "| method | " + " | ".join(_sizes(made)) + " |"]
    lines.append("|---" * (1 + len(_sizes(made))) + "|")
    for method in methods:
        sizes = {group.hidden: _mean(group.scores, higher) for group in made if group.method == method}
        cells = [sizes.get(hidden, "-") for hidden in BUDGETS[name].sizes if hidden in measured]
        lines.append(f"| {TITLES[method]} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Parameters that a rival needs over those that ChainzRule needs for the same score, between the measured sizes "
        "by interpolation (linear in log parameters; for errors in log error), and 95% intervals over resampled seeds:",
        "",
        "| score of | score | ratio | interval |",
        "|---|---|---|---|",
    ]
    for rival in RIVALS:
        lines += [_iso(made, rival, parameters, scores, higher) for parameters, scores in _curve(made, rival)]
    return [*lines, ""]


def _iso(made: Sequence[Group], rival: str, parameters: int, scores: Sequence[float], higher: bool) -> str:
    level = float(np.mean(scores))
    ratio = iso_ratio(_curve(made, OURS), _curve(made, rival), level, higher)
    start = f"| {TITLES[rival]}, {parameters:,} | {_mean({0: level}, higher)} |"
    if ratio is None:
        return f"{start} not reached by ChainzRule | |"
    low, high = (f"{end:.2f}" if end else "open" for end in (ratio.low, ratio.high))
    return f"{start} {'' if ratio.bound == '=' else 'at least '}{ratio.value:.2f} | {low} to {high} |"


def _claim(name: str, made: Sequence[Group], higher: bool) -> list[str]:
    """Returns lines on the paper's own claim: our small network against a rival's 15.5 times as large."""
    ours, relu = _curve(made, OURS), _curve(made, "relu")
    lines = []
    for parameters, scores in ours:
        larger = [point for point in relu if 0.8 <= point[0] / (CLAIM * parameters) <= 1.25]
        for size, theirs in larger:
            mine, other = float(np.mean(scores)), float(np.mean(theirs))
            wins = mine >= other if higher else mine <= other
            lines.append(
                f"In the paper's form: {parameters:,} parameters of ChainzRule reach {_mean({0: mine}, higher)}, a "
                f"ReLU network {size / parameters:.1f} times as large {_mean({0: other}, higher)}: the claim "
                f"{'holds' if wins else 'does not hold'} here."
            )
    if ours and relu and not lines:
        lines.append(f"No ReLU network measured here is near {CLAIM} times the size of one of ours.")
    return [*lines, ""]


def _largest(name: str, made: Sequence[Group], rival: str) -> float | None:
    """Returns the parameter ratio at the best score that both curves reach."""
    higher = BUDGETS[name].metric == "accuracy"
    here = [group for group in made if group.problem == name]
    ours, theirs = _curve(here, OURS), _curve(here, rival)
    if len(ours) < 3 or len(theirs) < 3:
        return None
    best = max if higher else min
    worse = min if higher else max
    means = [[(parameters, float(np.mean(scores))) for parameters, scores in curve] for curve in (ours, theirs)]
    level = worse(best(score for _, score in curve) for curve in means)
    needed = [parameters_at(curve, level, higher) for curve in means]
    return needed[1] / needed[0] if needed[0] and needed[1] else None


def _curve(made: Sequence[Group], method: str) -> Curve:
    return sorted(
        (group.parameters, list(group.scores.values()))
        for group in made
        if group.method == method and group.scores and not group.config["rows"]
    )


def _sizes(made: Sequence[Group]) -> list[str]:
    return [f"{parameters:,}" for parameters, _ in _curve(made, OURS)]


def _best(made: Sequence[Group], higher: bool) -> Group | None:
    with_scores = [group for group in made if group.scores and not group.diverged]
    if not with_scores:
        return None
    choose = max if higher else min
    return choose(with_scores, key=lambda group: float(np.mean(list(group.scores.values()))))


def _mean(values: Mapping[int, float], accuracy: bool | None) -> str:
    """Returns mean and spread as text: an accuracy in percent, any other figure as it is."""
    if not values:
        return "-"
    numbers = np.array(list(values.values()))
    spread = float(numbers.std(ddof=1)) if len(numbers) > 1 else None
    if accuracy:
        return f"{100 * numbers.mean():.2f}" + (f" ± {100 * spread:.2f}" if spread is not None else "")
    digits = 4 if accuracy is False else 2
    return f"{numbers.mean():.{digits}f}" + (f" ± {spread:.{digits}f}" if spread is not None and digits == 4 else "")
