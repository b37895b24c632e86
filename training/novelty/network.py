"""Says what novelty needs of a network. It imports no torch, which adopting a model must do without."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import Task

Matrix = NDArray[np.floating]


class Activations(NamedTuple):
    """Holds (rows, H) activations.

    Attributes:
        first: what enters the first layer's polynomials.
        last: what the last hidden layer gives.
        scores: (rows, S).
        probabilities: (rows, K) of the labels; a column of ones where there are none.
    """

    first: Matrix
    last: Matrix
    scores: Matrix
    probabilities: Matrix

    def take(self, rows: NDArray[np.int64]) -> "Activations":
        """Returns those of some rows."""
        return Activations(*(part[rows] for part in self))


class Network(NamedTuple):
    """Holds a network's task, and the function that gives what it makes of raw rows, (rows, D)."""

    task: Task
    activations: Callable[[Matrix], Activations]
