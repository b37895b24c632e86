"""Computes what a network makes of rows on the way to its scores, in float64 from the constants of its graphs."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import Task
from chainzrule.training.nn.folded import Folded
from chainzrule.training.nn.link import link_of
from chainzrule.training.novelty.network import Activations, Network

Matrix = NDArray[np.floating]


CHUNK = 4096  # rows at a time, so that memory does not grow with the data


def network_of(folded: Folded, task: Task) -> Network:
    """Returns a network of our own, as its novelty needs it."""
    return Network(task, partial(activations, folded, task))


def activations(folded: Folded, task: Task, x: Matrix) -> Activations:
    """Returns the activations of raw rows, (rows, D)."""
    parts = [_activations(folded, task, chunk) for chunk in np.array_split(x, max(1, len(x) // CHUNK))]
    return Activations(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _activations(folded: Folded, task: Task, x: Matrix) -> Activations:
    read = x.astype(np.float64)
    if folded.bent is not None:
        read = folded.bent.bends.values(read)
    h: Matrix = read - folded.offset.double().numpy()
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
