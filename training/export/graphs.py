"""Defines the computations that an artifact carries, as torch modules made from the folded constants."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chainzrule.service.artifact.interface import Task
from chainzrule.training.nn.bending import Bending, Bent
from chainzrule.training.nn.folded import Folded
from chainzrule.training.nn.jacobian import forward_mode, output_side
from chainzrule.training.nn.link import link_of
from chainzrule.training.nn.meanshift import NoisyLayer, half_curvature_coefficients, mean_shift


class Graph(nn.Module):
    """Computes the forward pass that all graphs share, from folded constants."""

    def __init__(self, folded: Folded) -> None:
        super().__init__()
        self.depth = len(folded.weights)
        self.register_buffer("offset", folded.offset.float())
        for number in range(self.depth):
            self.register_buffer(f"weight_{number}", folded.weights[number].float())
            self.register_buffer(f"bias_{number}", folded.biases[number].float())
            for power, row in enumerate(folded.coefficients[number], start=1):
                self.register_buffer(f"coefficient_{number}_{power}", row.float())
        self.degrees = [len(rows) for rows in folded.coefficients]
        self.register_buffer("output_weight", folded.output_weight.float())
        self.register_buffer("output_bias", folded.output_bias.float())
        self.register_buffer("factor", folded.factor.float())
        self.bent = folded.bent
        self.scores = len(folded.output_bias)
        self.moves_as_one = len(folded.output_weight) < self.scores

    def propagate(self, features: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Returns (batch, S) scores and every hidden layer's (batch, width) slopes and pre-activations."""
        if self.bent is not None:
            features = self.read(features).values
        h, slopes, before = features - self.get_buffer("offset"), [], []
        for number in range(self.depth):
            z = F.linear(h, self.get_buffer(f"weight_{number}"), self.get_buffer(f"bias_{number}"))
            h, slope = centred_polynomial(z, self.coefficients(number))
            slopes.append(slope)
            before.append(z)
        if self.moves_as_one:
            return F.linear(h, self.get_buffer("output_weight")) + self.get_buffer("output_bias"), slopes, before
        return F.linear(h, self.get_buffer("output_weight"), self.get_buffer("output_bias")), slopes, before

    def read(self, features: Tensor) -> Bent:
        """Returns the features on the scales that they are read on; only of a network that has bent columns."""
        assert self.bent is not None
        return Bending.of(self.bent.bends, torch.float32)(features)

    def bent_noise(self, features: Tensor) -> Tensor:
        """Returns (batch, bent, first width) what each bent column's noise does to the first layer, row by row."""
        assert self.bent is not None
        return self.read(features).slopes[:, self.bent.index].unsqueeze(2) * self.bent.noisy.float()

    def noise_of(self, features: Tensor) -> Tensor:
        """Returns the noise after the first layer in factors: (first width, rank), or (batch, first width, rank)."""
        factor = self.get_buffer("factor")
        if self.bent is None:
            return factor
        return torch.cat([factor.expand(len(features), -1, -1), self.bent_noise(features).transpose(1, 2)], dim=2)

    def coefficients(self, number: int) -> list[Tensor]:
        """Returns a hidden layer's c_1 to c_n."""
        return [self.get_buffer(f"coefficient_{number}_{power}") for power in range(1, self.degrees[number] + 1)]

    def later_weights(self) -> list[Tensor]:
        """Returns the weights of the hidden layers after the first."""
        return [self.get_buffer(f"weight_{number}") for number in range(1, self.depth)]

    def first_slopes(self, slopes: list[Tensor]) -> Tensor:
        """Returns (batch, S, width) d scores / d z_1; one row for all scores where they move as one."""
        weights = [self.get_buffer(f"weight_{number}") for number in range(self.depth)]
        return output_side(self.get_buffer("output_weight"), weights, slopes)


class PredictionGraph(Graph):
    """Maps features to scores and covariance; with labels also to probabilities and mean_shift."""

    level_widths: Tensor | None

    def __init__(self, folded: Folded, task: Task) -> None:
        super().__init__(folded)
        self.link = link_of(task)
        self.leading = folded.leading.float()
        self.rest = None if folded.rest is None else folded.rest.float()
        self.layers = [
            NoisyLayer(
                weight=self.get_buffer(f"weight_{number}"),
                squares=folded.weights[number].square().float(),
                curvature=half_curvature_coefficients([row.float() for row in folded.coefficients[number]]),
            )
            for number in range(self.depth)
        ]
        widths = self.link.level_widths(folded.output_bias)
        self.register_buffer("level_widths", None if widths is None else widths.float())

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Returns the outputs in the order of `output_names`."""
        scores, slopes, before = self.propagate(features)
        if not self.link.has_labels:
            return scores, self._covariance(features, slopes)
        leading, start = self.leading, None
        if self.bent is not None:
            leading = torch.cat([leading.expand(len(features), -1, -1), self.bent_noise(features)], dim=1)
            variance = self.bent.half_variance.float()
            start = (self.read(features).curvatures * variance) @ self.get_buffer("weight_0").T
        hidden, directions = mean_shift(leading, self.rest, self.layers, before, slopes, start)
        shift = F.linear(hidden, self.get_buffer("output_weight"))
        probabilities = self.link.probabilities(scores, self.level_widths)
        assert probabilities is not None
        if self.moves_as_one:
            return scores, probabilities, self._covariance(features, slopes), shift.expand(-1, self.scores)
        return scores, probabilities, self._covariance(features, slopes, directions), shift

    def _covariance(self, features: Tensor, slopes: list[Tensor], directions: Tensor | None = None) -> Tensor:
        """Returns the scores' (batch, S, S) covariance.

        It is computed from the noise's leading directions where these are all of the noise.

        In factored form the covariance keeps non-negative variances however alike its entries are.
        """
        if directions is not None and self.rest is None:
            noisy = F.linear(directions, self.get_buffer("output_weight"))
            return noisy.transpose(1, 2) @ noisy
        noisy = self.first_slopes(slopes) @ self.noise_of(features)
        covariance = noisy @ noisy.transpose(1, 2)
        return covariance.expand(-1, self.scores, self.scores) if self.moves_as_one else covariance

    @property
    def output_names(self) -> list[str]:
        """Returns the names of the graph's outputs, in order."""
        if not self.link.has_labels:
            return ["scores", "covariance"]
        return ["scores", "probabilities", "covariance", "mean_shift"]


class JacobianGraph(Graph):
    """Maps features to jacobian (batch, S, D), in raw units."""

    output_names = ("jacobian",)

    def forward(self, features: Tensor) -> tuple[Tensor]:
        """Returns the Jacobian, computed from the output side."""
        _, slopes, _ = self.propagate(features)
        first = self.first_slopes(slopes).expand(-1, self.scores, -1)
        jacobian = first @ self.get_buffer("weight_0")
        return (jacobian if self.bent is None else jacobian * self.read(features).slopes.unsqueeze(1),)


class LayersGraph(Graph):
    """Maps features to layer_norms (batch, hidden layers + 1)."""

    output_names = ("layer_norms",)

    def forward(self, features: Tensor) -> tuple[Tensor]:
        """Returns, after each layer, the norm of the derivative along one noise sigma of every feature."""
        _, slopes, _ = self.propagate(features)
        factor = self.noise_of(features)
        # The factor replaces W_1 N: same norm, fewer columns. The last derivative comes from the output side.
        start = slopes[0].unsqueeze(-1) * factor
        last = self.first_slopes(slopes).expand(-1, self.scores, -1) @ factor
        derivatives = [start, *forward_mode(start, self.later_weights(), slopes[1:]), last]
        norms = [torch.linalg.vector_norm(derivative, dim=(1, 2)) for derivative in derivatives]
        return (torch.stack(norms, dim=1),)


def centred_polynomial(z: Tensor, coefficients: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Returns value and slope of the polynomial without its constant; `coefficients` are c_1 to c_n."""
    *lower, leading = coefficients
    product = leading * z
    if not lower:
        return product, leading.expand_as(z)
    # This is Horner's recursion of `polynomial` without the last addition, because the constant is 0.
    value = product + lower.pop()
    slope = product + value
    while lower:
        value = value * z + lower.pop()
        slope = slope * z + value
    return value * z, slope
