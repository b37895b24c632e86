"""The ReLU network that a ChainzRule network is compared with: same parameters, same data, same epochs."""

import itertools
from collections.abc import Sequence

import torch

from training.nn.network import ReluNetwork


def relu_network(inputs: int, hidden: Sequence[int], scores: int, parameters: int, seed: int) -> ReluNetwork:
    """A ReLU network as deep as `hidden` whose parameter count comes closest to `parameters`."""
    widths = matching_widths(inputs, hidden, scores, parameters)
    return ReluNetwork(inputs, widths, scores, torch.Generator().manual_seed(seed))


def matching_widths(inputs: int, hidden: Sequence[int], scores: int, parameters: int) -> tuple[int, ...]:
    """Hidden widths near `hidden` with the parameter count closest to `parameters`.

    The first and the last width are searched one by one; those between grow with the first.
    """
    grow = 2 + max(hidden) // 4

    def candidates() -> list[tuple[int, ...]]:
        found = []
        for first, last in itertools.product(range(grow + 1), repeat=2):
            widths = [width + first for width in hidden]
            widths[-1] = hidden[-1] + last
            found.append(tuple(widths))
        return found

    return min(candidates(), key=lambda widths: (abs(count(inputs, widths, scores) - parameters), widths))


def count(inputs: int, hidden: Sequence[int], scores: int) -> int:
    """Parameters of a ReLU network: weights and biases."""
    widths = [inputs, *hidden, scores]
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(widths))
