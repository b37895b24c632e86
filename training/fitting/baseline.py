"""Builds the ReLU network that a ChainzRule network is compared with, of as many parameters."""

import itertools
from collections.abc import Sequence

import torch
from torch import nn

from chainzrule.training.nn.network import Output, ReluNetwork
from chainzrule.training.nn.ordinal import CumulativeLogits

TOLERANCE = 0.01  # differences in size below it are not worth an uneven network


def relu_network(
    inputs: int, hidden: Sequence[int], scores: int, parameters: int, seed: int, output: type[Output] = nn.Linear
) -> ReluNetwork:
    """Returns a ReLU network as deep as `hidden` whose parameter count comes closest to `parameters`."""
    widths = matching_widths(inputs, hidden, scores, parameters, output)
    return ReluNetwork(inputs, widths, scores, torch.Generator().manual_seed(seed), output)


def matching_widths(
    inputs: int, hidden: Sequence[int], scores: int, parameters: int, output: type[Output] = nn.Linear
) -> tuple[int, ...]:
    """Returns widths, grown evenly from `hidden`, whose parameter count is about `parameters`.

    All layers but the last grow by the same number of neurons; the last takes up the rest: the count is linear in it.
    """
    candidates = []
    for growth in range(2 * max(hidden) + 2):
        earlier = [width + growth for width in hidden[:-1]]
        base = count(inputs, [*earlier, 0], scores, output)
        slope = count(inputs, [*earlier, 1], scores, output) - base
        last = max(1, round((parameters - base) / slope))
        found = (*earlier, last)
        error = abs(count(inputs, found, scores, output) - parameters)
        uneven = abs(last - hidden[-1] - growth)
        candidates.append((max(error, TOLERANCE * parameters), uneven, found))
    return min(candidates)[-1]


def count(inputs: int, hidden: Sequence[int], scores: int, output: type[Output] = nn.Linear) -> int:
    """Returns the parameter count of a ReLU network: weights and biases, or thresholds for the last layer's biases."""
    further = 0
    if output is CumulativeLogits:  # one weight vector and a threshold for every score: one bias and some more
        scores, further = 1, scores - 1
    widths = [inputs, *hidden, scores]
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(widths)) + further
