"""Groups the results by problem, method and size, for the report and its plots."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainzrule.training.fairfight.plan import BUDGETS
from chainzrule.training.fairfight.trial import Stage

Entry = dict[str, Any]

MEANS = ("peak_p99", "peak_max", "tail_ratio", "noisy", "corrupted", "attacked")
ORDERED_MEANS = ("mae", "kappa")  # figures that only ordered levels have


@dataclass(frozen=True)
class Group:
    """Holds the runs of one method at one size.

    Attributes:
        problem: its name.
        method: its name.
        hidden: widths of the ChainzRule network of that size.
        config: the setting, epochs, batch and rows.
        runs: results by seed; a fit that diverged has `figures` None.
        stage: the trials' stage, "test", or "strength" for another strength than the chosen one.
    """

    problem: str
    method: str
    hidden: tuple[int, ...]
    config: dict[str, Any]
    runs: Mapping[int, Mapping[str, Any]]
    stage: Stage = "test"

    @property
    def parameters(self) -> int:
        """Returns the parameter count of the group's networks; that of trees differs from seed to seed."""
        return round(float(np.mean([run["parameters"] for run in self.runs.values()])))

    @property
    def scores(self) -> dict[int, float]:
        """Returns the scores by seed, without the fits that diverged, which the report counts."""
        return self.figure("score")

    @property
    def diverged(self) -> int:
        """Returns how many fits ended in infinite or missing numbers."""
        return sum(run["figures"] is None for run in self.runs.values())

    def figure(self, name: str) -> dict[int, float]:
        """Returns one figure by seed, where it was measured."""
        return {
            seed: run["figures"][name]
            for seed, run in sorted(self.runs.items())
            if run["figures"] and name in run["figures"]
        }


def groups(results: Iterable[Mapping[str, Any]], stage: Stage = "test") -> list[Group]:
    """Returns the test runs, or those of another stage, by problem, method, size and settings, in the plan's order."""
    found: dict[tuple[str, str, tuple[int, ...], str], dict[int, Mapping[str, Any]]] = defaultdict(dict)
    configs: dict[tuple[str, str, tuple[int, ...], str], dict[str, Any]] = {}
    for result in results:
        trial = result["trial"]
        if trial["stage"] != stage:
            continue
        config = {key: trial[key] for key in ("settings", "epochs", "batch", "rows")}
        key = (trial["problem"], trial["method"], tuple(trial["hidden"]), repr(config))
        found[key][trial["seed"]] = result
        configs[key] = config
    order = {name: number for number, name in enumerate(BUDGETS)}
    made = [Group(key[0], key[1], key[2], configs[key], runs, stage) for key, runs in found.items()]
    return sorted(made, key=lambda group: (order.get(group.problem, 99), group.hidden))


def summary(made: Iterable[Group]) -> list[Entry]:
    """Returns one flat entry for every group, as `summary.json` has them."""
    return [_entry(group) for group in made]


def _entry(group: Group) -> Entry:
    scores = list(group.scores.values())
    entry: Entry = {
        "dataset": group.problem,
        "method": group.method,
        "parameters": group.parameters,
        "seeds": len(group.runs),
        "diverged": group.diverged,
        "metric": BUDGETS[group.problem].metric,
        "score_mean": float(np.mean(scores)) if scores else None,
        "score_std": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
    }
    for name in (*MEANS, *ORDERED_MEANS):
        values = list(group.figure(name).values())
        if values or name in MEANS:
            entry[f"{name}_mean"] = float(np.mean(values)) if values else None
    entry["seconds_mean"] = float(np.mean([run["seconds"] for run in group.runs.values()]))
    entry["config"] = {"hidden": list(group.hidden), **group.config}
    return entry
