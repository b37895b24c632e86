"""Plans the trials: nine settings of every method at one size, then the chosen setting at every size and seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chainzrule.training.fairfight import classical
from chainzrule.training.fairfight.methods import METHODS
from chainzrule.training.fairfight.problems import KINDS
from chainzrule.training.fairfight.settings import Settings
from chainzrule.training.fairfight.trial import Stage, Trial

Widths = tuple[int, ...]

OURS = "chainzrule"
SEEDS = (1, 2, 3, 4, 5)
SLOW_SEEDS = (1, 2, 3)
STRENGTHS = (0.5, 2.0, 4.0, 8.0)
CLOSE = {"accuracy": 0.001, "rmse": 0.02}
"""Settings that score this close to the best one (accuracy: absolute; error: relative) are taken for as good."""


@dataclass(frozen=True)
class Budget:
    """Holds what every method gets on one problem.

    Attributes:
        sizes: widths of the ChainzRule networks whose parameters the others match, small to large.
        tuned: the size that settings are chosen at.
        two: the sizes of methods without a curve.
        large: a ReLU network of this size has about 15.5 times the parameters of the first of `two`.
        epochs: passes over the rows.
        batch: rows a step.
        slow_rows: training rows of the slow methods; 0 for all.
        metric: what `score` is.
        classical: whether the table methods take part.
    """

    sizes: Sequence[Widths]
    tuned: Widths
    two: Sequence[Widths]
    large: Widths
    epochs: int
    batch: int
    metric: str
    slow_rows: int = 0
    classical: bool = False


def _square(*widths: int) -> list[Widths]:
    return [(width, width) for width in widths]


_FUNCTION = Budget(_square(8, 16, 32, 64, 128, 256), (32, 32), _square(32, 64), (148, 148), 60, 128, "rmse")
_SMALL = Budget(
    _square(4, 8, 16, 32, 64, 128), (16, 16), _square(16, 64), (100, 100), 60, 32, "accuracy", classical=True
)
_IMAGES = Budget(
    _square(16, 32, 64, 96, 128, 256), (64, 64), _square(32, 128), (357, 357), 15, 256, "accuracy", slow_rows=10_000
)
_TEXTS = Budget(
    _square(4, 8, 16, 32, 64, 128),
    (32, 32),
    _square(16, 64),
    (180, 180),
    15,
    128,
    "accuracy",
    slow_rows=5_000,
    classical=True,
)

BUDGETS: Mapping[str, Budget] = {
    "friedman": _FUNCTION,
    "cubic": _FUNCTION,
    "waves": _FUNCTION,
    "breast-cancer": _SMALL,
    "diabetes": replace(_SMALL, large=(86, 86), metric="rmse"),
    "pima": replace(_SMALL, large=(86, 86)),
    "mnist": _IMAGES,
    "fashion-mnist": _IMAGES,
    "credit-default": Budget(
        _square(4, 8, 16, 32, 64, 128), (32, 32), _square(16, 64), (100, 100), 15, 256, "accuracy", 10_000, True
    ),
    "sst5": _TEXTS,
    "yelp5": _TEXTS,
}


def grid(problem: str, method: str) -> list[Settings]:
    """Returns the nine settings that a method may choose from."""
    if method == "linear":
        return [Settings(0.0, 0.0, penalty) for penalty in classical.PENALTIES]
    if method == "boosting":
        return [Settings(rate, 0.0, leaves) for rate, leaves in classical.BOOSTS]
    return list(METHODS[method].grids[KINDS[problem]])


def methods(problem: str) -> list[str]:
    """Returns the methods that take part in a problem."""
    return [*METHODS, *(classical.METHODS if BUDGETS[problem].classical else ())]


def tuning(problem: str, method: str) -> list[Trial]:
    """Returns the trials that a method's setting is chosen from."""
    budget = BUDGETS[problem]
    return [_trial(problem, method, budget.tuned, settings, 0, "tune") for settings in grid(problem, method)]


def choose(trials: Sequence[Trial], results: Mapping[str, Mapping[str, Any]], metric: str) -> Settings:
    """Returns the setting with the smallest peak among those that score as well as the best.

    The rule is the same for every method.

    A practitioner who cares for stability chooses like this; one who does not loses nothing by it.
    """
    if not trials:
        raise ValueError("a method without trials has no settings to choose from")
    scored = [(trial.settings, results[trial.key]["figures"]) for trial in trials]
    finite = [(settings, figures) for settings, figures in scored if figures and figures["score"] == figures["score"]]
    if not finite:
        return trials[0].settings
    if metric == "rmse":
        limit = (1 + CLOSE["rmse"]) * min(figures["score"] for _, figures in finite)
        good = [pair for pair in finite if pair[1]["score"] <= limit]
    else:
        limit = max(figures["score"] for _, figures in finite) - CLOSE["accuracy"]
        good = [pair for pair in finite if pair[1]["score"] >= limit]
    if "peak_p99" in good[0][1]:
        return min(good, key=lambda pair: pair[1]["peak_p99"])[0]
    best = min if metric == "rmse" else max
    return best(good, key=lambda pair: pair[1]["score"])[0]


def final(problem: str, method: str, settings: Settings) -> list[Trial]:
    """Returns the trials from which the report is made."""
    budget = BUDGETS[problem]
    if method in classical.METHODS:
        return [_trial(problem, method, (), settings, seed, "test") for seed in SEEDS]
    chosen = METHODS[method]
    sizes = [*budget.sizes] if chosen.curve else [*budget.two]
    if method == "relu":
        sizes.append(budget.large)
    seeds = SLOW_SEEDS if chosen.slow and budget.slow_rows else SEEDS
    return [
        _trial(problem, method, hidden, _at_width(settings, hidden[0] / budget.tuned[0]), seed, "test")
        for hidden in sizes
        for seed in seeds
    ]


def _at_width(settings: Settings, relative: float) -> Settings:
    """Returns the settings with the penalty's strength scaled to the width, the same rule for every method.

    A narrow network has little to spare: on MNIST at 16-16 the strength that 64-64 carries for nothing costs half a
    point of accuracy.
    """
    return replace(settings, strength=settings.strength * min(1.0, relative))


def portraits(problem: str, method: str, settings: Settings) -> list[Trial]:
    """Returns the trial whose derivatives the plots show: one network of the size that settings were chosen at."""
    if method not in METHODS or not METHODS[method].curve:
        return []
    return [_trial(problem, method, BUDGETS[problem].tuned, settings, 1, "portrait")]


def other_strengths(problem: str, method: str, settings: Settings) -> list[Trial]:
    """Returns trials on images at strengths below and above the chosen one, which show what the penalty trades."""
    budget = BUDGETS[problem]
    if method != OURS or KINDS[problem] != "image":
        return []
    hidden = budget.two[0]
    base = _at_width(settings, hidden[0] / budget.tuned[0])
    return [
        _trial(problem, method, hidden, replace(base, strength=factor * base.strength), seed, "strength")
        for factor in STRENGTHS
        for seed in SEEDS
    ]


QUICK_METHODS = ("chainzrule", "relu", "gelu", "linear")
QUICK_SEEDS = SEEDS[:3]
QUICK_EPOCHS = 10


def quickened(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the plan's quick form: few methods and seeds, every third setting, every second size, ten epochs."""
    kept = [trial for trial in trials if trial.method in QUICK_METHODS and trial.seed in (0, *QUICK_SEEDS)]
    tuned = [trial for trial in kept if trial.stage == "tune"][::3]
    other = [
        trial
        for trial in kept
        if trial.stage != "tune" and (not trial.hidden or trial.hidden in BUDGETS[trial.problem].sizes[:5:2])
    ]
    return [replace(trial, epochs=min(trial.epochs, QUICK_EPOCHS)) for trial in (*tuned, *other)]


def _trial(problem: str, method: str, hidden: Widths, settings: Settings, seed: int, stage: Stage) -> Trial:
    budget = BUDGETS[problem]
    slow = method in METHODS and METHODS[method].slow
    return Trial(
        problem,
        method,
        hidden,
        settings,
        budget.epochs,
        budget.batch,
        seed,
        stage,
        budget.slow_rows if slow else 0,
    )
