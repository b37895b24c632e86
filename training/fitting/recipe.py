"""Turns rows into a fitted network by a configuration, standardisation included."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chainzrule.service.artifact.interface import Task
from chainzrule.training.columns import Columns
from chainzrule.training.config import Config, FitConfig
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.split import folds
from chainzrule.training.data.weights import moments
from chainzrule.training.fitting.baseline import relu_network
from chainzrule.training.fitting.checkpoint import Checkpoint
from chainzrule.training.fitting.loop import FitReport, fit
from chainzrule.training.fitting.losses import task_loss
from chainzrule.training.fitting.objective import derivative_controlled
from chainzrule.training.fitting.selection import select
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.link import TargetScale, link_of
from chainzrule.training.nn.network import ChainzRuleNetwork, Network
from chainzrule.training.nn.ordinal import CumulativeLogits
from chainzrule.training.penalties.penalty import Penalty

CHUNK = 1 << 14  # rows that are standardised at a time

Indices = NDArray[np.int64]
Make = Callable[[int, int], Network]


class Recipe:
    """Fits networks by one configuration, to the rows of one data set or to parts of them."""

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        columns: Columns,
        checkpoints: Path | None = None,
        resume: bool = False,
        progress: bool = False,
    ) -> None:
        """Prepares to fit to a data set.

        Args:
            config: network, penalty and optimiser; the latter is chosen here, by the whole data set's rows.
            dataset: says the task and its labels.
            columns: what the networks take.
            checkpoints: the directory that keeps the state of every fit; None keeps none.
            resume: go on from the states found there.
            progress: show progress bars, where standard error is a terminal.
        """
        self._config = config
        self._settings = config.fit.for_rows(len(dataset.train))
        self._dataset = dataset
        self._link = link_of(dataset.task)
        self._columns = columns
        self._checkpoints = checkpoints
        self._resume = resume
        self._progress = progress

    @property
    def task(self) -> Task:
        """Returns the data set's task."""
        return self._dataset.task

    def chainzrule(self, seed: int, inputs: int) -> ChainzRuleNetwork:
        """Returns a new ChainzRule network as configured, of so many inputs."""
        network, generator = self._config.network, torch.Generator().manual_seed(seed)
        scores, output = self._dataset.scores, self._link.last_layer
        return ChainzRuleNetwork(inputs, network.hidden, scores, network.degree, generator, output)

    def relu(self, seed: int, inputs: int) -> Network:
        """Returns a new ReLU network of the same size."""
        hidden, output = self._config.network.hidden, self._link.last_layer
        parameters = self.chainzrule(seed, inputs).parameter_count
        return relu_network(inputs, hidden, self._dataset.scores, parameters, seed, output)

    def fit(
        self, make: Make, stage: str, rows: Rows, columns: Columns, epochs: int | None = None
    ) -> tuple[FittedModel, FitReport]:
        """Fits to `rows`: for `epochs` passes over all of them, or with early stopping on a share of them.

        Args:
            make: builds the network from a seed and its number of inputs; a ChainzRule network is fitted with the
                configured penalty.
            stage: names the fit, on the progress bar and on disk.
            rows: raw rows.
            columns: their statistics.
            epochs: passes over the rows.

        Raises:
            DivergenceError: the loss became infinite or NaN.
            CheckpointError: the checkpoint cannot be resumed from.
        """
        config, dataset = self._config, self._dataset
        settings = self._in_units(self.stake(rows))
        # float64, because a line search compares losses whose difference float32 cannot show.
        dtype = torch.float64 if settings.optimiser == "lbfgs" else torch.float32
        target = self._target_scale(rows)
        kept, watched = self._split(rows, 0.0 if epochs else self._settings.validation)
        x, y, *weights = self._tensors(rows, kept, columns, target, dtype)
        held = self._tensors(rows, watched, columns, target, dtype) if len(watched) else None
        used = torch.arange(columns.width)
        if settings.select:
            found = select(x.double().numpy(), rows.y[kept], self._link.has_labels)
            used = torch.from_numpy(np.flatnonzero(found))
            x, held = x[:, used], held and (held[0][:, used], *held[1:])
        network = make(config.seed, len(used)).to(dtype)
        still = torch.zeros(len(used), dtype=torch.bool) if columns.pooled else (x == x[0]).all(dim=0)
        _start(network, still, y, weights)
        loss = task_loss(dataset.task)
        penalty = self._penalty(rows) if isinstance(network, ChainzRuleNetwork) else None
        checkpoint = self._checkpoints and Checkpoint(
            self._checkpoints / f"{stage}.pt", f"{config.sha256} {dataset.fingerprint} {stage}", self._resume
        )
        report = fit(
            network,
            loss,
            (x, y),
            held,
            settings,
            derivative_controlled(network, loss, penalty),
            config.seed,
            weights=weights[0] if weights else None,
            stop_after=epochs,
            checkpoint=checkpoint or None,
            label=f"{config.name} {stage}",
            progress=self._progress,
        )
        _silence(network, still, x[0])
        if len(used) < columns.width:
            network = _widened(network, make(config.seed, columns.width), used)
        return FittedModel(dataset.task, network.float(), columns, target), report

    def _penalty(self, rows: Rows) -> Penalty | None:
        penalty = self._config.dreg.as_penalty(self._dataset.task, self._config.seed, self.stake(rows))
        if penalty and self._settings.optimiser == "lbfgs":
            # A line search needs one deterministic function, so no answer is drawn.
            return replace(penalty, exact_answers=len(self._dataset.labels))
        return penalty

    def _in_units(self, stake: float) -> FitConfig:
        """Returns the settings with L-BFGS's decay, a term of the loss, in units of what there is to win."""
        if self._settings.optimiser != "lbfgs":
            return self._settings
        return self._settings.model_copy(update={"weight_decay": stake * self._settings.weight_decay})

    def stake(self, rows: Rows) -> float:
        """Returns the labels' entropy over that of even labels; 1 for a regression, whose target is standardised."""
        labels = len(self._dataset.labels)
        if not self._link.has_labels:
            return 1.0
        shares = np.bincount(rows.y.astype(np.int64), rows.weights, minlength=labels)
        shares = shares[shares > 0] / shares.sum()
        return float(-np.sum(shares * np.log(shares)) / np.log(labels))

    def _split(self, rows: Rows, share: float) -> tuple[Indices, Indices]:
        """Returns the rows to fit to, and those that early stopping watches: of every label its share, and one.

        Of rows with groups, whole groups are watched.
        """
        order = np.random.default_rng(self._config.seed).permutation(len(rows))
        labels = rows.y[order].astype(np.int64) if self._link.has_labels else np.zeros(len(rows), np.int64)
        watched = np.zeros(len(rows), np.bool_)
        if share and rows.groups is not None and len(np.unique(rows.groups)) > 1:
            held = folds(rows.y, max(2, round(1 / share)), self._config.seed, self._link.has_labels, rows.groups)[0]
            watched = np.isin(order, held)
            watched &= np.isin(labels, labels[~watched])  # what no other row shows is for learning
            return order[~watched], order[watched]
        for label in np.unique(labels) if share else ():
            places = np.flatnonzero(labels == label)
            if len(places) > 1:  # the only row of a label is for learning
                watched[places[: max(1, round(share * len(places)))]] = True
        return order[~watched], order[watched]

    def _target_scale(self, rows: Rows) -> TargetScale:
        if self._link.has_labels:
            return TargetScale()
        mean, std = moments(rows.y.astype(np.float64), rows.weights)
        return TargetScale(float(mean), float(std) or 1.0)

    def _tensors(
        self, rows: Rows, index: Indices, columns: Columns, target: TargetScale, dtype: torch.dtype
    ) -> tuple[Tensor, ...]:
        """Returns standardised features, targets, and the rows' weights where they have some, with mean 1."""
        x = torch.empty(len(index), columns.width, dtype=dtype)
        for start in range(0, len(x), CHUNK):  # in float64 and in chunks, because the rows may lie on disk
            part = slice(start, start + CHUNK)
            x[part] = torch.from_numpy(columns.standardise(rows.x[index[part]]))
        y = torch.from_numpy(rows.y[index])
        if not self._link.has_labels:
            y = ((y.double() - target.mean) / target.std).to(dtype)
        if rows.weights is None:
            return x, y
        weights = rows.weights[index]
        return x, y, torch.from_numpy(weights / weights.mean()).to(dtype)


def _start(network: Network, still: Tensor, y: Tensor, weights: list[Tensor]) -> None:
    """Initialises what depends on the data; `still` marks the constant columns."""
    with torch.no_grad():
        next(network.layers).weight[:, still] = 0.0
    if isinstance(network.output, CumulativeLogits):
        levels = len(network.output.thresholds) + 1
        counts = torch.bincount(y, weights[0] if weights else None, minlength=levels)
        network.output.start_from(counts.double())


def _silence(network: Network, still: Tensor, row: Tensor) -> None:
    """Sets the weights of columns that were constant in training to 0, because training taught them nothing.

    Their contribution, the same in every row, goes into the bias.
    """
    first = next(network.layers).linear
    with torch.no_grad():
        first.bias.add_(first.weight[:, still] @ row[still])
        first.weight[:, still] = 0.0


def _widened(network: Network, wide: Network, used: Tensor) -> Network:
    """Returns `wide` as the same function of the columns in `used`, whatever the others are."""
    state = network.state_dict()
    name = "hidden.0.linear.weight"
    weight = torch.zeros(len(state[name]), next(wide.layers).weight.shape[1], dtype=state[name].dtype)
    weight[:, used] = state[name]
    wide.to(weight.dtype).load_state_dict(state | {name: weight})
    return wide
