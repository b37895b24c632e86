"""Chooses a network's shape, penalty and decay for a small table, by rows that the networks have not seen."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from chainzrule.training.columns import Columns
from chainzrule.training.config import Config
from chainzrule.training.data.dataset import Rows
from chainzrule.training.data.split import FEWEST_ROWS, FOLDS, folds
from chainzrule.training.errors import DivergenceError
from chainzrule.training.fitting.recipe import Recipe
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.link import link_of
from chainzrule.training.penalties.config import STRENGTH

Floats = NDArray[np.float64]

RARE = 10  # a label of n rows tells no more than a table of this many times n rows
WIDE = 4  # rows a column below which all settings but the given one leave out columns


@dataclass(frozen=True)
class Setting:
    """Holds what one candidate changes.

    Attributes:
        width: of the hidden layers, of which there are as many as were given.
        degree: of the polynomials.
        strength: of the penalties, as a multiple of those that a recipe takes by itself.
        decay: of the weights.
    """

    width: int
    degree: int
    strength: float
    decay: float

    def of(self, config: Config, stake: float, fisher: float, select: bool) -> Config:
        """Returns the configuration with this setting; `stake` and `fisher` are what its strength is a multiple of."""
        network = config.network.model_copy(
            update={"hidden": (self.width,) * len(config.network.hidden), "degree": self.degree}
        )
        strength = {"strength": self.strength * STRENGTH * stake, "fisher": self.strength * fisher}
        fit = config.fit.model_copy(update={"weight_decay": self.decay, "select": select})
        return config.model_copy(
            update={"network": network, "dreg": config.dreg.model_copy(update=strength), "fit": fit}
        )


SETTINGS = (
    Setting(32, 3, 1.0, 1e-2),
    Setting(8, 1, 0.1, 1e-3),
    Setting(16, 2, 0.3, 1e-2),
    Setting(16, 2, 5.0, 1e-3),
    Setting(32, 3, 0.03, 3e-3),
    Setting(16, 2, 0.1, 1e-3),
)
"""The candidates, in the order in which they are tried while the budget lasts."""


def telling_rows(rows: Rows, labels: bool) -> int:
    """Returns how many rows a table tells as much as: where a label is rare, the rows of that label count."""
    if not labels:
        return len(rows)
    return min(len(rows), RARE * int(np.unique(rows.y, return_counts=True)[1].min()))


def candidates(config: Config, recipe: Recipe, rows: Rows) -> list[Config]:
    """Returns the configurations to try on a table's training rows, the one that was given first."""
    stake = recipe.stake(rows)
    penalty = config.dreg.as_penalty(recipe.task, config.seed, stake)
    fisher = 0.0 if penalty is None else penalty.fisher
    wide = len(rows) < WIDE * rows.x.shape[1]
    usual = SETTINGS[0].of(config, stake, fisher, select=False)
    known = config.dreg.strength is None and config.network == usual.network and config.fit == usual.fit
    others = [setting.of(config, stake, fisher, wide) for setting in SETTINGS[known and not wide :]]
    return [config, *others]


@dataclass(frozen=True)
class Tried:
    """Holds one configuration's fits, each to the rows outside one fold.

    Attributes:
        config: the configuration.
        recipe: what fits by it.
        models: by fold.
        epochs: by fold, those of the weights that were kept.
        losses: by fold, the (rows,) losses of the fold's rows.
    """

    config: Config
    recipe: Recipe
    models: tuple[FittedModel, ...]
    epochs: tuple[int, ...]
    losses: tuple[Floats, ...]


@dataclass(frozen=True)
class Budget:
    """Bounds the time that is spent on trying, in seconds; the first configuration is always tried."""

    seconds: float

    def spend(self, tries: Iterator[Tried]) -> list[Tried]:
        """Returns the tries; none is begun after the time is up."""
        begun, found = time.monotonic(), []
        for tried in tries:
            found.append(tried)
            if time.monotonic() - begun > self.seconds:
                break
        return found


def tries(
    configs: Sequence[Config],
    recipe_of: Callable[[Config], Recipe],
    parts: Sequence[tuple[Rows, Columns, Rows]],
) -> Iterator[Tried]:
    """Yields each configuration's fits; of those after the first, only the ones that do not diverge.

    Args:
        configs: what to try.
        recipe_of: makes a configuration's recipe.
        parts: by fold, the rows to fit to with their columns, and those to judge by.
    """
    for place, config in enumerate(configs):
        recipe, fits = recipe_of(config), []
        try:
            for number, (rows, columns, _) in enumerate(parts, start=1):
                stage = f"fold-{number}" if place == 0 else f"try-{place}-fold-{number}"
                fits.append(recipe.fit(recipe.chainzrule, stage, rows, columns))
        except DivergenceError:
            if place == 0:
                raise
            continue
        models, epochs = [model for model, _ in fits], [report.best_epoch for _, report in fits]
        losses = [_losses(model, judged) for model, (_, _, judged) in zip(models, parts, strict=True)]
        yield Tried(config, recipe, tuple(models), tuple(epochs), tuple(losses))


def parts_of(rows: Rows, columns: Columns, seed: int, labels: bool) -> list[tuple[Rows, Columns, Rows]]:
    """Returns parts of rows as `tries` takes them: five folds, or one where there is enough to tell by.

    A fold's columns know nothing of the rows that it is judged by.
    """
    held = folds(rows.y, FOLDS, seed, stratified=labels, groups=rows.groups)
    parts = []
    for index in held if telling_rows(rows, labels) < FEWEST_ROWS else held[:1]:
        others = rows.take(np.setdiff1d(np.arange(len(rows)), index))
        parts.append((others, columns.of_rows(others.x, others.weights), rows.take(index)))
    return parts


def tuned(config: Config, recipe_of: Callable[[Config], Recipe], rows: Rows, columns: Columns) -> Tried:
    """Returns the best of the settings that are tried within the budget, by folds of the rows."""
    recipe = recipe_of(config)
    parts = parts_of(rows, columns, config.seed, link_of(recipe.task).has_labels)
    return choose(Budget(config.budget).spend(tries(candidates(config, recipe, rows), recipe_of, parts)))


def choose(tried: Sequence[Tried], left_out: int | None = None) -> Tried:
    """Returns the try of the lowest mean loss over all folds, or over all but one.

    What is chosen without a fold can be judged by that fold's rows: they had no say in it.
    """
    return min(tried, key=lambda each: _mean([part for at, part in enumerate(each.losses) if at != left_out]))


def _mean(losses: Sequence[Floats]) -> float:
    return float(np.concatenate(losses).mean()) if losses else 0.0


def _losses(model: FittedModel, rows: Rows) -> Floats:
    scores = model.scores(torch.from_numpy(rows.x))
    y = torch.from_numpy(rows.y)
    losses: Floats = model.link.losses(scores, y if model.link.has_labels else y.double()).numpy()
    return np.nan_to_num(losses, nan=np.inf)
