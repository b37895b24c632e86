"""Which derivatives a training run penalises, and how strongly, as one function of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from training.accumulated import accumulated_penalties
from training.dreg import Schedule, dreg
from training.nn.jacobian import hidden_weights
from training.nn.network import Network

Derivative = Literal["layer", "accumulated"]


@dataclass(frozen=True)
class Penalty:
    """lambda(progress) times the sum of the layers' terms, each times its layer's factor.

    Attributes:
        schedule: lambda over training.
        derivative: each layer's own Jacobian, or the product of all up to it.
        output: whether the linear last layer has a term too, after the hidden layers'.
        factors: what multiplies lambda in each layer, first to last; 0 spares a layer its work, empty means 1
            everywhere.
        exact_width: accumulated: layers with at most so many neurons are exact.
        projections: accumulated: random directions a row for the wider ones.
        seed: of those directions.
    """

    schedule: Schedule
    derivative: Derivative = "layer"
    output: bool = False
    factors: tuple[float, ...] = ()
    exact_width: int = 4
    projections: int = 1
    seed: int = 0

    def __call__(
        self, network: Network, slopes: Sequence[Tensor], progress: float, rows: Tensor | None = None
    ) -> Tensor:
        """The penalty on a batch.

        Args:
            network: whose weights count.
            slopes: the hidden layers' (batch, width) slopes.
            progress: of training, from 0 to 1.
            rows: (batch,) weights of the rows, or None where all count alike.
        """
        weights = hidden_weights(network)
        if self.output:
            weights.append(network.output.weight)
        strength, factors = self.schedule(progress), self.factors or (1.0,) * len(weights)
        layers = [number for number, (_, factor) in enumerate(zip(weights, factors, strict=True)) if factor]
        scales = [strength * factors[number] for number in layers]
        if self.derivative == "layer":
            if rows is not None:  # each term is a mean of squares over the rows
                slopes = [slope * rows.sqrt().unsqueeze(1) for slope in slopes]
            if self.output:
                slopes = [*slopes, weights[-1].new_ones(1, len(weights[-1]))]  # a linear layer's slope
            return dreg([weights[number] for number in layers], [slopes[number] for number in layers], scales)
        if rows is not None:  # every product has the first layer's slopes in it, once
            slopes = [slopes[0] * rows.sqrt().unsqueeze(1), *slopes[1:]]
        # A function of the seed and progress alone: a resumed run, and a line search, meet the same directions again.
        generator = torch.Generator(slopes[0].device).manual_seed(hash((self.seed, progress)))
        terms = accumulated_penalties(weights, slopes, layers, self.exact_width, self.projections, generator)
        return torch.stack([scale * term for scale, term in zip(scales, terms, strict=True)]).sum()
