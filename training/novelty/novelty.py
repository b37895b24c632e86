"""Scores how unlike the training rows a row is, by what its inputs, its activations and its scores say together.

A row of few columns is judged by its inputs alone, where a Gaussian density sees most. A row of many columns, such as a
picture, is judged by its principal components, by the distance of its first and last activations from those of the
class that its probabilities name, and by the energy of its scores (`benchmarks/novelty` measures each by itself).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import Task
from chainzrule.training.columns import Columns
from chainzrule.training.novelty.classes import Classes
from chainzrule.training.novelty.network import Activations, Network
from chainzrule.training.novelty.subspace import Subspace
from chainzrule.training.novelty.surprise import Surprises
from chainzrule.training.novelty.table import Table
from chainzrule.training.onnxwriter import NodeWriter, Value

Floats = NDArray[np.float64]
Matrix = NDArray[np.floating]
Indices = NDArray[np.int64]

FEW_COLUMNS = 128  # up to this many, all of the columns' correlations are kept
MOST_COLUMNS = 4096  # beyond this many, principal components take too long, and there is no novelty
MOST_ROWS = 100_000  # of more rows than this, a random choice is enough
FEW_ROWS = 2000  # below this many, every row is held out once; else a fifth of them
FOLDS = 5


@dataclass(frozen=True)
class Taps:
    """Holds the values of a network's graph that its novelty is computed from."""

    first: Value
    last: Value
    scores: Value
    probabilities: Value | None


@dataclass(frozen=True)
class _Parts:
    """Holds the densities, each of which gives one or two statistics of a row."""

    density: Table | Subspace
    hidden: tuple[Classes, Classes] | None

    @classmethod
    def of(cls, x: Matrix, label: Indices, columns: Columns, inner: Activations | None) -> "_Parts":
        if columns.width <= FEW_COLUMNS and not columns.pooled:
            return cls(Table.of(x, columns), None)
        if inner is None:
            return cls(Subspace.of(x, columns), None)
        count = inner.probabilities.shape[1]
        hidden = Classes.of(inner.first, label, count), Classes.of(inner.last, label, count)
        return cls(Subspace.of(x, columns), hidden)

    def statistics(self, x: Matrix, inner: Activations | None, task: Task | None) -> Floats:
        found = [self.density.statistics(x)]
        if self.hidden is not None and inner is not None:
            first, last = self.hidden
            found.append(first.statistics(inner.first, inner.probabilities))
            found.append(last.statistics(inner.last, inner.probabilities))
            if task == "classification":
                found.append(_energy(inner.scores))
        return np.concatenate(found, axis=1)


@dataclass(frozen=True)
class Novelty:
    """Holds the densities of a model's rows, the network that they look into, and the scale of surprises."""

    parts: _Parts
    network: Network | None
    surprises: Surprises

    def score(self, x: Matrix) -> Floats:
        """Returns (rows,) the novelty of raw rows, (rows, D): the larger, the less like the training rows."""
        return self.surprises.total(_statistics(self.parts, x, self.network))

    def deviations(self, x: Matrix) -> Floats | None:
        """Returns (rows, D) how far each column deviates; None where that is not known."""
        return self.parts.density.deviations(x) if isinstance(self.parts.density, Table) else None

    def write(self, writer: NodeWriter, features: Value, taps: Taps | None) -> list[Value]:
        """Writes the outputs `novelty`, (batch, 1), and where they are known `deviations`, (batch, D)."""
        density = self.parts.density
        if isinstance(density, Table):
            statistics, deviations = density.write(writer, features)
            return [self.surprises.write(writer, statistics), deviations]
        found = [density.write(writer, features)]
        if self.parts.hidden is not None and taps is not None:
            first, last = self.parts.hidden
            found.append(first.write(writer, taps.first, taps.probabilities))
            found.append(last.write(writer, taps.last, taps.probabilities))
            if self.network is not None and self.network.task == "classification":
                found.append(-writer.node("ReduceLogSumExp", taps.scores, writer.integers((1,)), keepdims=1))
        joined = writer.node("Concat", *found, axis=1) if len(found) > 1 else found[0]
        return [self.surprises.write(writer, joined)]


def fit_novelty(
    x: Matrix, label: Indices | None, columns: Columns, network: Network | None, seed: int
) -> Novelty | None:
    """Returns the novelty of a model by its training rows; None where they have too many columns.

    Args:
        x: (rows, D) raw rows.
        label: (rows,) their labels; None where there are none.
        columns: describes the columns.
        network: the network; None for a model from elsewhere, which is judged by its inputs alone.
        seed: chooses the rows that are held out.
    """
    if columns.width > MOST_COLUMNS:
        return None
    order = np.random.default_rng(seed).permutation(len(x))[:MOST_ROWS]
    label = np.zeros(len(x), np.int64) if label is None else label
    inner = _inner(x, columns, network)
    task = None if network is None else network.task
    held = np.array_split(order, FOLDS)[: FOLDS if len(order) < FEW_ROWS else 1]
    found = []
    for index in held:
        others = np.setdiff1d(order, index)
        parts = _Parts.of(x[others], label[others], columns, None if inner is None else inner.take(others))
        found.append(parts.statistics(x[index], None if inner is None else inner.take(index), task))
    whole = _Parts.of(x[order], label[order], columns, None if inner is None else inner.take(order))
    return Novelty(whole, network, Surprises.of(np.concatenate(found)))


def held_out_surprise(x: Matrix, columns: Columns, seed: int) -> Floats | None:
    """Returns (rows,) the novelty of each raw row by the inputs of the other folds' rows; None as for `fit_novelty`."""
    found = np.zeros(len(x))
    for index in np.array_split(np.random.default_rng(seed).permutation(len(x)), FOLDS):
        others = np.setdiff1d(np.arange(len(x)), index)
        novelty = fit_novelty(x[others], None, columns, None, seed)
        if novelty is None:
            return None
        found[index] = novelty.score(x[index])
    return found


def _inner(x: Matrix, columns: Columns, network: Network | None) -> Activations | None:
    few = columns.width <= FEW_COLUMNS and not columns.pooled
    return None if network is None or few else network.activations(x)


def _statistics(parts: _Parts, x: Matrix, network: Network | None) -> Floats:
    inner = None if network is None or parts.hidden is None else network.activations(x)
    return parts.statistics(x, inner, None if network is None else network.task)


def _energy(scores: Matrix) -> Floats:
    """Returns (rows, 1), minus the logarithm of the sum of the scores' exponentials."""
    largest = scores.max(axis=1, keepdims=True)
    return np.asarray(-np.log(np.exp(scores - largest).sum(axis=1, keepdims=True)) - largest)
