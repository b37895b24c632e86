"""Fits a network: seeded, with the derivative penalty, early stopping, and a state that survives an interruption."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from chainzrule.training.config import FitConfig
from chainzrule.training.errors import DivergenceError
from chainzrule.training.fitting.checkpoint import Checkpoint
from chainzrule.training.fitting.losses import Loss
from chainzrule.training.fitting.objective import Objective

Batch = tuple[Tensor, Tensor]
Watched = tuple[Tensor, ...]

WATCHED_ROWS = 8192  # validation rows at a time
LBFGS_STEPS = 5  # steps an epoch
SETTLED = 1e-7  # L-BFGS is done when an epoch lowers the loss by no more than this share of it


@dataclass(frozen=True)
class FitReport:
    """Holds the result of a fit.

    Attributes:
        network: the network with the weights of the best epoch.
        best_epoch: the epoch of the lowest validation loss, counted from 1; the last one without validation rows.
        losses: mean training loss of every epoch, penalty included.
        validation_losses: task loss on the validation rows after every epoch; empty without such rows.
    """

    network: nn.Module
    best_epoch: int
    losses: tuple[float, ...]
    validation_losses: tuple[float, ...]


class Fit:
    """Holds a network while it is fitted, with everything that a checkpoint must save, and runs its epochs."""

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        config: FitConfig,
        objective: Objective,
        seed: int,
        weights: Tensor | None = None,
    ) -> None:
        """Begins a fit.

        Args:
            network: freshly initialised; changed in place.
            loss: the task's loss, which judges the validation rows.
            config: the optimiser's settings.
            objective: what every step lowers on a batch, a function of `network`.
            seed: the seed of the shuffling.
            weights: of the training rows, their mean 1; None where all rows count alike.
        """
        self.network = network
        self.losses: list[float] = []
        self.validation_losses: list[float] = []
        self._best = copy.deepcopy(network.state_dict())
        self._loss = loss
        self._config = config
        self._objective = objective
        self._parameters = list(network.parameters())
        self._weights = () if weights is None else (weights,)
        self._full = config.optimiser == "lbfgs"
        self._optimiser = _lbfgs(network) if self._full else _adamw(network, config)
        self._shuffle = torch.Generator().manual_seed(seed)

    def epoch(self, train: Batch, validation: Watched | None) -> None:
        """Passes over the training rows once, then remembers the network if it is the best so far.

        Raises:
            DivergenceError: the loss became infinite or NaN.
        """
        self.losses.append(self._finite(self._descend(*train) if self._full else self._pass(*train)))
        if validation:
            self.validation_losses.append(self._finite(self._watch(validation)))
        if self.best_epoch == len(self.losses):
            self._best = copy.deepcopy(self.network.state_dict())

    def _watch(self, validation: Watched) -> float:
        """Returns the mean loss of the validation rows, computed in chunks to bound the memory of activations."""
        chunks = zip(*(torch.split(part, WATCHED_ROWS) for part in validation), strict=True)
        with torch.no_grad():
            return sum(float(self._loss(self.network(x), *rest)) * len(x) for x, *rest in chunks) / len(validation[0])

    @property
    def best_epoch(self) -> int:
        """Returns the epoch of the lowest validation loss, counted from 1; the latest without validation rows."""
        if not self.validation_losses:
            return len(self.losses)
        return self.validation_losses.index(min(self.validation_losses)) + 1

    @property
    def exhausted(self) -> bool:
        """Returns whether the loss has settled, or the validation loss has not improved within the patience."""
        if self._full and len(self.losses) > 1 and math.isclose(*self.losses[-2:], rel_tol=SETTLED):
            return True
        return len(self.losses) - self.best_epoch >= self._config.patience

    def state(self) -> dict[str, Any]:
        """Returns what `restore` needs to continue exactly."""
        return {
            "network": self.network.state_dict(),
            "best": self._best,
            "optimiser": self._optimiser.state_dict(),
            "shuffle": self._shuffle.get_state(),
            "losses": self.losses,
            "validation_losses": self.validation_losses,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restores a saved state."""
        self.network.load_state_dict(state["network"])
        self._best = state["best"]
        self._optimiser.load_state_dict(state["optimiser"])
        self._shuffle.set_state(state["shuffle"])
        self.losses = state["losses"]
        self.validation_losses = state["validation_losses"]

    def report(self) -> FitReport:
        """Ends the fit and returns its result, with the best epoch's weights."""
        self.network.load_state_dict(self._best)
        return FitReport(self.network, self.best_epoch, tuple(self.losses), tuple(self.validation_losses))

    def _pass(self, x: Tensor, y: Tensor) -> float:
        """Runs an epoch of AdamW, a step on every batch, and returns the rows' mean objective."""
        order = torch.split(torch.randperm(len(x), generator=self._shuffle), self._config.batch)
        total = torch.zeros(())
        for number, rows in enumerate(order):
            progress = (len(self.losses) + number / len(order)) / self._config.epochs
            total += self.step(progress, x[rows], y[rows], *(weights[rows] for weights in self._weights)) * len(rows)
        return float(total) / len(x)

    def _descend(self, x: Tensor, y: Tensor) -> float:
        """Runs an epoch of L-BFGS, a few steps on all rows, and returns the objective after them."""
        progress = len(self.losses) / self._config.epochs
        matrices = [linear.weight for linear in self.network.modules() if isinstance(linear, nn.Linear)]

        def objective() -> Tensor:
            decay = torch.stack([weight.square().sum() for weight in matrices]).sum()
            lowered = self._objective(x, y, progress, *self._weights) + self._config.weight_decay / 2 * decay
            self._optimiser.zero_grad()
            torch.autograd.backward(lowered)
            return lowered

        self._optimiser.step(objective)  # type: ignore[arg-type]
        return float(objective().detach())

    def step(self, progress: float, x: Tensor, y: Tensor, *weights: Tensor) -> Tensor:
        """Takes one step of AdamW, and returns the objective before it."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._config.learning_rate * one_cycle(progress)
        objective = self._objective(x, y, progress, *weights)
        self._optimiser.zero_grad()
        torch.autograd.backward(objective)
        torch.nn.utils.clip_grad_norm_(self._parameters, self._config.clip)
        self._optimiser.step()
        return objective.detach()

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise DivergenceError(
                f"the loss became {loss}: lower fit.learning_rate (now {self._config.learning_rate:g}), fit.clip (now "
                f"{self._config.clip:g}) or network.degree, or raise dreg.strength"
            )
        return loss


def fit(
    network: nn.Module,
    loss: Loss,
    train: Batch,
    validation: Watched | None,
    config: FitConfig,
    objective: Objective,
    seed: int,
    *,
    weights: Tensor | None = None,
    stop_after: int | None = None,
    checkpoint: Checkpoint | None = None,
    label: str = "fit",
    progress: bool = False,
) -> FitReport:
    """Fits a network, which is changed in place.

    Args:
        network: freshly initialised.
        loss: the task's loss, which judges the validation rows.
        train: (rows, D) standardised features and (rows,) targets.
        validation: rows that early stopping watches, with weights where they have some; None runs every epoch.
        config: the optimiser's settings.
        objective: what every step lowers on a batch, a function of `network` (training/fitting/objective.py).
        seed: the seed of the shuffling.
        weights: (rows,) of the training rows, their mean 1; None where all count alike.
        stop_after: end after so many epochs of the same learning-rate schedule.
        checkpoint: where to keep the state, and to take it up from.
        label: what the progress bar calls the fit.
        progress: whether to show one, where standard error is a terminal.

    Raises:
        DivergenceError: the loss became infinite or NaN.
        CheckpointError: the checkpoint cannot be resumed from.
    """
    config = config.for_rows(len(train[0]))
    state = Fit(network, loss, config, objective, seed, weights)
    if checkpoint and (saved := checkpoint.load()):
        state.restore(saved)
    last = min(stop_after or config.epochs, config.epochs)
    hidden = None if progress else True
    with tqdm(total=last, initial=len(state.losses), desc=label, unit="epoch", leave=False, disable=hidden) as bar:
        while len(state.losses) < last and not state.exhausted:
            state.epoch(train, validation)
            if checkpoint:
                checkpoint.save(state.state(), force=len(state.losses) == last or state.exhausted)
            bar.set_postfix(loss=f"{(state.validation_losses or state.losses)[-1]:.4g}", refresh=False)
            bar.update()
    return state.report()


def one_cycle(progress: float) -> float:
    """Returns the learning rate over its peak: it rises over the first 30% of the steps, then falls to nearly 0.

    A function of progress alone, so that a resumed run needs no scheduler's state (Smith and Topin, 2018).
    """
    start, end, rise = 0.04, 1e-5, 0.3
    if progress < rise:
        return _cosine(start, 1.0, progress / rise)
    return _cosine(1.0, end, (progress - rise) / (1 - rise))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _lbfgs(network: nn.Module) -> torch.optim.Optimizer:
    """Returns L-BFGS with a line search under the strong Wolfe conditions (Nocedal and Wright 2006, chapter 7)."""
    return torch.optim.LBFGS(
        network.parameters(),
        max_iter=LBFGS_STEPS,
        history_size=20,
        tolerance_grad=1e-7,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )


def _adamw(network: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    """Returns AdamW that decays only weight matrices: biases and polynomials set the function's shape, not its size."""
    matrices = {id(linear.weight) for linear in network.modules() if isinstance(linear, nn.Linear)}
    groups: dict[bool, list[Tensor]] = {True: [], False: []}
    for parameter in network.parameters():
        groups[id(parameter) in matrices].append(parameter)
    decayed: list[dict[str, Any]] = [
        {"params": groups[True], "weight_decay": config.weight_decay},
        {"params": groups[False], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(decayed, lr=config.learning_rate, fused=True)
