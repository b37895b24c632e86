"""Defines which derivatives a training run penalises, and how strongly, as one function of a batch."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from chainzrule.service.artifact.interface import Task
from chainzrule.training.nn.jacobian import hidden_weights
from chainzrule.training.nn.network import Network, Propagation
from chainzrule.training.penalties.accumulated import accumulated_penalties
from chainzrule.training.penalties.dreg import Schedule, dreg
from chainzrule.training.penalties.fisher import fisher_penalty

Derivative = Literal["layer", "accumulated"]


@dataclass(frozen=True)
class Penalty:
    """Computes lambda(progress) times the sum of the layers' terms, each with its factor, and the Fisher information.

    Attributes:
        schedule: lambda over training.
        derivative: each layer's own Jacobian, or the product of all up to it.
        output: whether the linear last layer has a term too, after the hidden layers'.
        factors: what multiplies lambda in each layer, first to last; 0 spares a layer its work, empty means 1
            everywhere.
        exact_width: accumulated: layers with at most so many neurons are exact.
        projections: accumulated: random directions a row for the wider ones.
        fisher: the factor of the trace of the input's Fisher information, by `task`'s likelihood.
        task: the network's task, which decides the likelihood.
        exact_answers: fisher: over at most so many answers the expectation is exact.
        seed: seeds the random directions and drawn answers.
    """

    schedule: Schedule
    derivative: Derivative = "layer"
    output: bool = False
    factors: tuple[float, ...] = ()
    exact_width: int = 4
    projections: int = 1
    fisher: float = 0.0
    task: Task = "classification"
    exact_answers: int = 4
    seed: int = 0

    def __call__(self, network: Network, passed: Propagation, progress: float, rows: Tensor | None = None) -> Tensor:
        """Returns the penalty on a batch.

        Args:
            network: whose weights count.
            passed: the batch's forward pass.
            progress: of training, from 0 to 1.
            rows: (batch,) weights of the rows, or None where all count alike.
        """
        # The draws depend on seed and progress alone, so that a resumed run and a line search meet the same ones.
        generator = torch.Generator(passed.scores.device).manual_seed(hash((self.seed, progress)))
        weights, strength = hidden_weights(network), self.schedule(progress)
        terms = []
        if self.fisher:
            operands = passed.scores, network.output.weight, weights, passed.slopes, rows
            terms.append(self.fisher * fisher_penalty(self.task, *operands, self.exact_answers, generator))
        if strength:
            terms.append(strength * self._layers(network, passed, rows, generator))
        return torch.stack(terms).sum() if terms else passed.scores.new_zeros(())

    def _layers(self, network: Network, passed: Propagation, rows: Tensor | None, generator: torch.Generator) -> Tensor:
        weights, slopes = hidden_weights(network), list(passed.slopes)
        if self.output:
            weights.append(network.output.weight)
        factors = self.factors or (1.0,) * len(weights)
        layers = [number for number, (_, factor) in enumerate(zip(weights, factors, strict=True)) if factor]
        scales = [float(factors[number]) for number in layers]
        if self.derivative == "layer":
            if rows is not None:  # a term is a mean of squares, so slopes carry the square root of the row's weight
                slopes = [slope * rows.sqrt().unsqueeze(1) for slope in slopes]
            if self.output:
                slopes.append(weights[-1].new_ones(1, len(weights[-1])))  # a linear layer's slope is 1
            return dreg([weights[number] for number in layers], [slopes[number] for number in layers], scales)
        if rows is not None:  # every product contains the first layer's slopes once, so they alone carry the weight
            slopes[0] = slopes[0] * rows.sqrt().unsqueeze(1)
        terms = accumulated_penalties(weights, slopes, layers, self.exact_width, self.projections, generator)
        return torch.stack([scale * term for scale, term in zip(scales, terms, strict=True)]).sum()
