"""The training loop: seeded, with the derivative penalty, early stopping, and a state that survives an interruption."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from training.checkpoint import Checkpoint
from training.config import FitConfig
from training.dreg import Schedule, dreg
from training.errors import DivergenceError
from training.losses import Loss
from training.nn.jacobian import hidden_weights
from training.nn.network import Network

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class FitReport:
    """What a fit came to.

    Attributes:
        network: with the weights of the best epoch.
        best_epoch: the epoch of the lowest validation loss, counted from 1; the last one without validation rows.
        losses: mean training loss of every epoch, penalty included.
        validation_losses: task loss on the validation rows after every epoch; empty without such rows.
    """

    network: Network
    best_epoch: int
    losses: tuple[float, ...]
    validation_losses: tuple[float, ...]


def fit(
    network: Network,
    loss: Loss,
    train: Batch,
    validation: Batch | None,
    config: FitConfig,
    penalty: Schedule | None,
    seed: int,
    *,
    stop_after: int | None = None,
    checkpoint: Checkpoint | None = None,
    label: str = "fit",
    progress: bool = False,
) -> FitReport:
    """Fit a network; `network` itself is changed on the way.

    Args:
        network: freshly initialised.
        loss: the task's loss.
        train: (rows, D) standardised features and (rows,) targets.
        validation: rows that early stopping watches, or None to run every epoch.
        config: the optimiser's settings.
        penalty: lambda over training, or None without DREG.
        seed: of the shuffling.
        stop_after: stop after so many epochs of the same learning-rate schedule.
        checkpoint: where to keep the state, and to take it up from.
        label: what the progress bar calls the fit.
        progress: whether to show one, where standard error is a terminal.

    Raises:
        DivergenceError: the loss became infinite or NaN.
    """
    x, y = train
    optimiser = _adamw(network, config)
    shuffle = torch.Generator().manual_seed(seed)
    steps = math.ceil(len(x) / config.batch)
    total = steps * config.epochs
    weights = hidden_weights(network)
    parameters = list(network.parameters())

    losses: list[float] = []
    validation_losses: list[float] = []
    best = copy.deepcopy(network.state_dict())
    saved = checkpoint.load() if checkpoint else None
    if saved:
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        shuffle.set_state(saved["shuffle"])
        losses, validation_losses, best = saved["losses"], saved["validation_losses"], saved["best"]

    last = min(stop_after or config.epochs, config.epochs)
    bar = tqdm(
        total=last, initial=len(losses), desc=label, unit="epoch", leave=False, disable=None if progress else True
    )
    with bar:
        for epoch in range(len(losses), last):
            if _exhausted(validation_losses, config.patience):
                break
            total_loss = torch.zeros(())
            for number, rows in enumerate(torch.split(torch.randperm(len(x), generator=shuffle), config.batch)):
                done = (epoch * steps + number) / total
                for group in optimiser.param_groups:
                    group["lr"] = config.learning_rate * one_cycle(done)
                scores, slopes = network.propagate(x[rows])
                objective = loss(scores, y[rows])
                if penalty:
                    objective = objective + penalty(done) * dreg(weights, slopes)
                optimiser.zero_grad()
                torch.autograd.backward(objective)
                torch.nn.utils.clip_grad_norm_(parameters, config.clip)
                optimiser.step()
                total_loss += objective.detach() * len(rows)
            losses.append(_finite(float(total_loss) / len(x), epoch, config))
            if validation:
                validation_losses.append(_finite(_evaluate(network, loss, validation), epoch, config))
            if not validation or validation_losses[-1] == min(validation_losses):
                best = copy.deepcopy(network.state_dict())
            bar.set_postfix(loss=f"{(validation_losses or losses)[-1]:.4g}", refresh=False)
            bar.update()
            if checkpoint:
                checkpoint.save(
                    {
                        "network": network.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "shuffle": shuffle.get_state(),
                        "losses": losses,
                        "validation_losses": validation_losses,
                        "best": best,
                    },
                    force=epoch + 1 == last or _exhausted(validation_losses, config.patience),
                )
    network.load_state_dict(best)
    return FitReport(
        network=network,
        best_epoch=_best(validation_losses) if validation else len(losses),
        losses=tuple(losses),
        validation_losses=tuple(validation_losses),
    )


def one_cycle(progress: float) -> float:
    """The learning rate as a share of its peak: up a cosine over the first 30% of the steps, then down to nearly 0.

    A function of progress alone, so that a resumed run needs no scheduler's state (Smith and Topin, 2018).
    """
    start, peak, end, rise = 0.04, 1.0, 1e-5, 0.3
    if progress < rise:
        return _cosine(start, peak, progress / rise)
    return _cosine(peak, end, (progress - rise) / (1 - rise))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _adamw(network: Network, config: FitConfig) -> torch.optim.Optimizer:
    """AdamW that decays the weight matrices only: biases and polynomials set the function's shape, not its size."""
    matrices = {id(linear.weight) for linear in network.modules() if isinstance(linear, torch.nn.Linear)}
    groups: dict[bool, list[Tensor]] = {True: [], False: []}
    for parameter in network.parameters():
        groups[id(parameter) in matrices].append(parameter)
    decayed: list[dict[str, Any]] = [
        {"params": groups[True], "weight_decay": config.weight_decay},
        {"params": groups[False], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(decayed, lr=config.learning_rate, fused=True)


def _evaluate(network: Network, loss: Callable[[Tensor, Tensor], Tensor], batch: Batch) -> float:
    with torch.no_grad():
        return float(loss(network(batch[0]), batch[1]))


def _best(losses: list[float]) -> int:
    """The epoch of the lowest loss, counted from 1."""
    return losses.index(min(losses)) + 1


def _exhausted(validation_losses: list[float], patience: int) -> bool:
    return bool(validation_losses) and len(validation_losses) - _best(validation_losses) >= patience


def _finite(loss: float, epoch: int, config: FitConfig) -> float:
    if not math.isfinite(loss):
        raise DivergenceError(
            f"the loss became {loss} in epoch {epoch + 1}: lower fit.learning_rate (now {config.learning_rate:g}) or "
            f"fit.clip (now {config.clip:g}), raise dreg.strength, or lower network.degree"
        )
    return loss
