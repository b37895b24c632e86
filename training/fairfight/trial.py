"""Trains and measures one network: a trial is planned, cached by its hash, and run in a process of its own."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from chainzrule.training.config import FitConfig
from chainzrule.training.errors import DivergenceError
from chainzrule.training.fairfight import classical
from chainzrule.training.fairfight.measure import Network, glance, measure
from chainzrule.training.fairfight.methods import METHODS
from chainzrule.training.fairfight.portrait import portrait
from chainzrule.training.fairfight.problems import BINARY, GIVEN_SPLIT, Problem, load
from chainzrule.training.fairfight.settings import Settings
from chainzrule.training.fitting.loop import Batch, fit
from chainzrule.training.fitting.losses import task_loss
from chainzrule.training.nn.ordinal import CumulativeLogits

REVISION = 1  # version of the procedure: results cached under another are measured anew
REVISED = {(problem, method): 2 for problem in BINARY for method in METHODS if METHODS[method].fisher}
"""Later revisions. Since the second, the Fisher penalty over up to four answers is an expectation, not drawn."""

Stage = Literal["tune", "test", "portrait", "strength"]


@dataclass(frozen=True)
class Trial:
    """Says what to train and where to measure it.

    Attributes:
        problem: the problem's name.
        method: the method's name.
        hidden: widths of the ChainzRule network whose size the method is to match.
        settings: learning rate and so on.
        epochs: passes over the rows.
        batch: rows a step.
        seed: seeds the initialisation, the shuffling and, where there is one, the split.
        stage: `tune` fits to the training rows and scores on the validation rows, `test` fits to both and scores on the
            test rows, `portrait` as well, for the plots: how derivatives are spread and how they grow by layer;
            `strength` is a test of the method at another strength than was chosen.
        rows: only so many training rows; 0 for all.
    """

    problem: str
    method: str
    hidden: tuple[int, ...]
    settings: Settings
    epochs: int
    batch: int
    seed: int
    stage: Stage
    rows: int = 0

    @property
    def key(self) -> str:
        """Returns the hash of the trial and of the procedure's revision."""
        revision = REVISED.get((self.problem, self.method), REVISION)
        content = json.dumps([revision, asdict(self)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:20]


def run(trial: Trial, data: Path | None) -> dict[str, Any]:
    """Trains and measures a trial, and returns the figures as JSON values.

    Returns:
        `parameters`, `seconds` of one core's time for the training, and `figures`: `FIGURES`, for the stage `tune` only
        the score and the peak on validation rows, for `portrait` what the plots show. A fit that diverged has `figures`
        None.
    """
    split = 0 if trial.stage == "tune" or trial.problem in GIVEN_SPLIT else trial.seed
    problem = _problem(trial.problem, data, split)
    if trial.method in classical.METHODS:
        problem = problem.unordered
    if trial.rows:
        problem = problem.subset(trial.rows)
    rows = problem.train if trial.stage == "tune" else problem.everything
    started = time.process_time()
    network, parameters = fitted(trial, problem, rows)
    result: dict[str, Any] = {"parameters": parameters, "seconds": time.process_time() - started, "figures": None}
    if network is None:
        return result
    differentiable = isinstance(network, nn.Module)
    match trial.stage:
        case "tune":
            return result | {"figures": glance(network, problem, differentiable)}
        case "test" | "strength":
            return result | {"figures": measure(network, problem, differentiable)}
        case "portrait":
            assert isinstance(network, nn.Module)
            return result | {"figures": portrait(network, problem)}


def fitted(trial: Trial, problem: Problem, rows: Batch) -> tuple[Network | None, int]:
    """Returns the fitted network, or None where the fit diverged, and its parameter count."""
    if trial.method in classical.METHODS:
        return classical.fit(trial.method, trial.settings, problem, rows, trial.seed)
    method = METHODS[trial.method]
    network = method.build(problem, trial.hidden, trial.settings, trial.seed)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    for module in network.modules():
        if isinstance(module, CumulativeLogits):
            module.start_from(torch.bincount(rows[1], minlength=problem.levels).double())
    config = FitConfig(
        epochs=trial.epochs,
        batch=trial.batch,
        learning_rate=trial.settings.learning_rate,
        weight_decay=trial.settings.weight_decay,
        validation=0,
    )
    objective = method.objective(network, problem, trial.settings, trial.seed)
    torch.manual_seed(trial.seed)  # seeds the rivals' penalties that draw directions
    try:
        fit(network, task_loss(problem.task), rows, None, config, objective, trial.seed)
    except DivergenceError:
        return None, parameters
    return network.eval().requires_grad_(False), parameters


def cost(trial: Trial) -> float:
    """Returns roughly how long a trial takes, in arbitrary units, for the estimate of the time left."""
    size = {"credit-default": (24_000, 30), "yelp5": (15_000, 400), "sst5": (10_000, 400)}
    size |= dict.fromkeys(("mnist", "fashion-mnist"), (60_000, 784))
    rows, inputs = size.get(trial.problem, (8_000, 30))
    rows = trial.rows or rows
    width = trial.hidden[0] if trial.hidden else 1
    slow = 6.0 if trial.method in METHODS and METHODS[trial.method].slow else 1.5
    return slow * trial.epochs * rows * (inputs * width + width**2 + 20_000) + 1e9


@lru_cache(maxsize=2)
def _problem(name: str, data: Path | None, seed: int) -> Problem:
    return load(name, data, seed)
