"""Holds what training works on: encoded rows in raw units, with the features that describe them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import Feature, Layout
from chainzrule.service.artifact.interface import Task


@dataclass(frozen=True)
class Rows:
    """Holds encoded rows and their targets.

    Attributes:
        x: (rows, D) float32: numeric columns in raw units with gaps filled, categorical ones as one-hot blocks.
        y: (rows,) int64 label indices (classification, ordinal), or float32 in the target's unit (regression).
        weights: (rows,) how often each row counts in training; None where all count once.
        groups: (rows,) which group each row belongs to; the rows of a group are held out together. None without groups.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64] | NDArray[np.float32]
    weights: NDArray[np.float64] | None = None
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: NDArray[np.int64]) -> "Rows":
        """Returns the rows at `index`."""
        weights = None if self.weights is None else self.weights[index]
        return Rows(self.x[index], self.y[index], weights, None if self.groups is None else self.groups[index])


@dataclass(frozen=True)
class Dataset:
    """Holds a task's rows, split into training and test, and the card's description of their columns.

    Attributes:
        features: statistics (mean, std, low, high, fill) are those of the rows in `train` alone.
        labels: the labels, in the order of `y`'s indices; empty for regression.
        test: rows kept apart for quality and stability reference; None where data are few and out-of-fold rows serve.
        fingerprint: sha256 over everything the rows were made from.
        lenient: whether the service is to read rows leniently, as the card says.
    """

    task: Task
    target: str
    target_unit: str | None
    features: tuple[Feature, ...]
    layout: Layout | None
    labels: tuple[str, ...]
    train: Rows
    test: Rows | None
    fingerprint: str
    lenient: bool = False

    @property
    def scores(self) -> int:
        """Returns S, the number of scores that a network gives a row.

        It is the number of labels, the number of thresholds between levels, or 1.
        """
        return {"classification": len(self.labels), "ordinal": len(self.labels) - 1, "regression": 1}[self.task]
