"""Computes what a network makes of rows on the way to its scores, in float64 from the constants of its graphs."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import Task
from chainzrule.training.nn.folded import Folded
from chainzrule.training.nn.link import link_of

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


CHUNK = 4096  # rows at a time, so that memory does not grow with the data


def activations(folded: Folded, task: Task, x: Matrix) -> Activations:
    """Returns the activations of raw rows, (rows, D)."""
    parts = [_activations(folded, task, chunk) for chunk in np.array_split(x, max(1, len(x) // CHUNK))]
    return Activations(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _activations(folded: Folded, task: Task, x: Matrix) -> Activations:
    h: Matrix = x.astype(np.float64) - folded.offset.double().numpy()
    first: Matrix | None = None
    for weight, bias, coefficients in zip(folded.weights, folded.biases, folded.coefficients, strict=True):
        z = h @ weight.double().numpy().T + bias.double().numpy()
        first = z if first is None else first
        h = sum(row * z**power for power, row in enumerate(coefficients.double().numpy(), start=1))
    assert first is not None
    scores = h @ folded.output_weight.double().numpy().T + folded.output_bias.double().numpy()
    link = link_of(task)
    found = link.probabilities(torch.from_numpy(scores), link.level_widths(folded.output_bias.double()))
    return Activations(first, h, scores, np.ones((len(x), 1)) if found is None else found.numpy())
