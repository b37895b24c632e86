"""Runs the comparison from plan to results: chooses every method's setting, then measures it over seeds and sizes."""

from collections.abc import Collection, Sequence
from pathlib import Path

from tqdm import tqdm

from chainzrule.training.data.errors import DataError
from chainzrule.training.fairfight.plan import (
    BUDGETS,
    choose,
    final,
    methods,
    other_strengths,
    portraits,
    quickened,
    tuning,
)
from chainzrule.training.fairfight.problems import load
from chainzrule.training.fairfight.race import Results, race
from chainzrule.training.fairfight.trial import Trial, cost


def compare(
    problems: Sequence[str],
    only: Collection[str],
    results: Results,
    data: Path | None,
    *,
    workers: int,
    strict: bool = True,
    quick: bool = False,
    progress: bool = True,
) -> tuple[str, ...]:
    """Runs what has no result yet, problem by problem.

    Args:
        problems: by name.
        only: the methods that take part; empty for all.
        results: where results are kept; what is there is not run again.
        data: the folder of the problems that no package carries.
        workers: processes at a time.
        strict: refuse problems whose files are missing, instead of leaving them out.
        quick: the small plan (`plan.quickened`).
        progress: show a bar with an estimate of the time left.

    Returns:
        Why problems were left out, one line each.

    Raises:
        DataError: a name is not known, or, if `strict`, a problem's files are missing.
    """
    if unknown := sorted({*problems} - {*BUDGETS}):
        raise DataError(f"no problem is named '{unknown[0]}'; there are {', '.join(BUDGETS)}")
    known = {method for problem in BUDGETS for method in methods(problem)}
    if unknown := sorted({*only} - known):
        raise DataError(f"no method is named '{unknown[0]}'; there are {', '.join(sorted(known))}")
    problems, left_out = _available(problems, data, strict)
    taking = {problem: [name for name in methods(problem) if not only or name in only] for problem in problems}
    # The cost of settings that are not chosen yet is estimated by that of the first of the grid.
    planned = [
        trial
        for problem, names in taking.items()
        for name in names
        for trial in (*tuning(problem, name), *final(problem, name, tuning(problem, name)[0].settings))
    ]
    shorten = quickened if quick else list
    with tqdm(
        total=sum(map(cost, shorten(planned))), desc="compare", unit="", bar_format=BAR, disable=not progress
    ) as bar:
        for problem, names in taking.items():
            bar.set_postfix_str(problem)
            tuned = {name: trials for name in names if (trials := shorten(tuning(problem, name)))}
            race([trial for trials in tuned.values() for trial in trials], results, data, workers, bar)
            chosen = [trial for name, trials in tuned.items() for trial in _chosen(problem, name, trials, results)]
            race(shorten(chosen), results, data, workers, bar)
    return left_out


BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}"


def _available(problems: Sequence[str], data: Path | None, strict: bool) -> tuple[list[str], tuple[str, ...]]:
    """Returns the problems whose rows are available, and why the others are not."""
    found, missing = [], []
    for name in problems:
        try:
            load(name, data, 0)
        except DataError as error:
            if strict:
                raise
            missing.append(str(error))
        else:
            found.append(name)
    return found, tuple(missing)


def _chosen(problem: str, method: str, trials: Sequence[Trial], results: Results) -> list[Trial]:
    settings = choose(trials, results.by_key, BUDGETS[problem].metric)
    return [
        *final(problem, method, settings),
        *portraits(problem, method, settings),
        *other_strengths(problem, method, settings),
    ]
