# ruff: noqa: F722 -- jaxtyping's shape strings are not forward references
"""Defines what a task's scores mean, in torch: labels, reported output, probabilities, likelihood and last layer.

There is one object a task, the counterpart of those in `service.stability.link`, whose definitions these are. Training,
export and the comparison with other methods ask it wherever a task decides something.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from chainzrule.service.artifact.interface import Task
from chainzrule.training.nn.network import Output
from chainzrule.training.nn.ordinal import MIN_GAP, CumulativeLogits

BEYOND = 1e30  # stands for an infinite score: every level exceeds the one below the lowest, none exceeds the highest


@dataclass(frozen=True)
class TargetScale:
    """Holds a regression target's mean and standard deviation over the training rows, by which it is standardised."""

    mean: float = 0.0
    std: float = 1.0


class Link(ABC):
    """Defines what the scores of one task mean.

    Attributes:
        task: the task.
        has_labels: whether answers carry a label and probabilities.
        has_margins: whether labels compete by their scores, so that the margins between these decide.
        last_layer: turns a network's last hidden layer into scores.
    """

    task: ClassVar[Task]
    has_labels: ClassVar[bool] = True
    has_margins: ClassVar[bool] = False
    last_layer: ClassVar[type[Output]] = nn.Linear

    def derivatives(self, scores: int) -> int:
        """Returns the number of different derivatives that so many scores have: the rows of the last layer's weight."""
        return scores

    def labels(self, scores: int) -> int:
        """Returns the number of labels that so many scores tell apart; 0 where there are no labels."""
        return scores

    def in_units(self, outputs: Tensor, target: TargetScale, dim: int = 1) -> Tensor:
        """Returns the scores that an artifact gives, from a network's outputs along the axis `dim`."""
        return self.slope_in_units(outputs, target, dim)

    def slope_in_units(self, derivatives: Tensor, target: TargetScale, dim: int = 1) -> Tensor:
        """Returns the derivatives of those scores, from those of the network's outputs along the axis `dim`."""
        return derivatives

    @abstractmethod
    def label(self, s: Float[Tensor, "batch scores"]) -> Int[Tensor, " batch"]:
        """Returns the index of the label; 0 where there are no labels."""

    @abstractmethod
    def output(self, s: Float[Tensor, "batch scores"]) -> Float[Tensor, " batch"]:
        """Returns the reported output: the label's probability, the expected level, or the predicted number."""

    def level_widths(self, bias: Float[Tensor, " scores"]) -> Float[Tensor, " inner"] | None:
        """Returns what the probabilities of ordered levels need of the last layer's bias, or None for other tasks."""
        return None

    @abstractmethod
    def probabilities(
        self, s: Float[Tensor, "batch scores"], widths: Tensor | None = None
    ) -> Float[Tensor, "batch labels"] | None:
        """Returns the probabilities of the labels, or None where there are no labels.

        Args:
            s: the scores.
            widths: the last layer's `level_widths`; where they are not given, they are taken from the scores.
        """

    @abstractmethod
    def through(
        self, s: Float[Tensor, "batch scores"], derivative: Float[Tensor, "batch derivatives columns"]
    ) -> Float[Tensor, "batch answers columns"]:
        """Returns the derivatives of the probabilities, or of the number, from those of the scores."""

    @abstractmethod
    def log_likelihood(self, s: Float[Tensor, "batch scores"], y: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """Returns the log probability of each row's true label; raises `TypeError` for a regression."""

    @abstractmethod
    def likelihood_gradient(
        self, s: Float[Tensor, "batch scores"], p: Tensor | None, labels: Int[Tensor, "batch answers"]
    ) -> Float[Tensor, "batch answers scores"]:
        """Returns the log likelihood's derivative with respect to the scores, at each of a row's labels.

        A regression's likelihood is the unit normal law, and its derivative is taken one standard deviation away.

        Args:
            s: the scores.
            p: their `probabilities`, which need not be computed twice.
            labels: indices.
        """

    def losses(self, s: Float[Tensor, "batch scores"], y: Tensor) -> Float[Tensor, " batch"]:
        """Returns each row's loss: the negative log likelihood, or the squared error of a standardised target."""
        return -self.log_likelihood(s, y)


class Regression(Link):
    """Gives one score, which is the predicted number itself."""

    task = "regression"
    has_labels = False

    def labels(self, scores: int) -> int:
        """Returns 0, because there are no labels."""
        return 0

    def in_units(self, outputs: Tensor, target: TargetScale, dim: int = 1) -> Tensor:
        """Returns the outputs in the target's unit."""
        return outputs * target.std + target.mean

    def slope_in_units(self, derivatives: Tensor, target: TargetScale, dim: int = 1) -> Tensor:
        """Returns the derivatives in the target's unit."""
        return derivatives * target.std

    def label(self, s: Float[Tensor, "batch scores"]) -> Int[Tensor, " batch"]:
        """Returns zeros: there is no label."""
        return torch.zeros(len(s), dtype=torch.int64, device=s.device)

    def output(self, s: Float[Tensor, "batch scores"]) -> Float[Tensor, " batch"]:
        """Returns the number."""
        return s[:, 0]

    def probabilities(self, s: Float[Tensor, "batch scores"], widths: Tensor | None = None) -> None:
        """Returns None, because there are no labels."""

    def through(
        self, s: Float[Tensor, "batch scores"], derivative: Float[Tensor, "batch derivatives columns"]
    ) -> Float[Tensor, "batch answers columns"]:
        """Returns the derivatives as they are."""
        return derivative

    def log_likelihood(self, s: Float[Tensor, "batch scores"], y: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """Raises `TypeError`, because a regression has no labels."""
        raise TypeError("a regression has no probabilities")

    def likelihood_gradient(
        self, s: Float[Tensor, "batch scores"], p: Tensor | None, labels: Int[Tensor, "batch answers"]
    ) -> Float[Tensor, "batch answers scores"]:
        """Returns ones, the derivative one standard deviation away."""
        return torch.ones_like(s).unsqueeze(1).expand(-1, labels.shape[1], -1)

    def losses(self, s: Float[Tensor, "batch scores"], y: Tensor) -> Float[Tensor, " batch"]:
        """Returns the squared errors."""
        return (s.squeeze(1) - y).square()


class Classification(Link):
    """Gives K logits: the label has the largest (the lower index on a tie); the softmax gives the probabilities."""

    task = "classification"
    has_margins = True

    def slope_in_units(self, derivatives: Tensor, target: TargetScale, dim: int = 1) -> Tensor:
        """Returns the derivatives less their mean over the labels, which the softmax does not see.

        Without it the scores' covariance needs no more than float32.
        """
        return derivatives - derivatives.mean(dim=dim, keepdim=True)

    def label(self, s: Float[Tensor, "batch scores"]) -> Int[Tensor, " batch"]:
        """Returns the index of the largest score."""
        return s.argmax(dim=1)

    def output(self, s: Float[Tensor, "batch scores"]) -> Float[Tensor, " batch"]:
        """Returns the label's probability, whose gradient keeps its digits where the softmax is saturated."""
        label = self.label(s).unsqueeze(1)
        others = (s - s.gather(1, label)).exp().scatter(1, label, 0.0)
        return 1.0 / (1.0 + others.sum(dim=1))

    def probabilities(
        self, s: Float[Tensor, "batch scores"], widths: Tensor | None = None
    ) -> Float[Tensor, "batch labels"]:
        """Returns the softmax."""
        return s.softmax(dim=1)

    def through(
        self, s: Float[Tensor, "batch scores"], derivative: Float[Tensor, "batch derivatives columns"]
    ) -> Float[Tensor, "batch answers columns"]:
        """Returns the derivatives of the softmax."""
        p = s.softmax(dim=1).unsqueeze(2)
        weighted = p * derivative
        return weighted - p * weighted.sum(dim=1, keepdim=True)

    def log_likelihood(self, s: Float[Tensor, "batch scores"], y: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """Returns the true label's log softmax."""
        return -F.cross_entropy(s, y, reduction="none")

    def likelihood_gradient(
        self, s: Float[Tensor, "batch scores"], p: Tensor | None, labels: Int[Tensor, "batch answers"]
    ) -> Float[Tensor, "batch answers scores"]:
        """Returns 1 at the label, less the probabilities."""
        p = s.softmax(dim=1) if p is None else p
        return F.one_hot(labels, s.shape[1]).to(s.dtype) - p.unsqueeze(1)


class Ordinal(Link):
    """Gives K - 1 scores s_k = f - b_k over ordered thresholds: P(level > k) = sigmoid(s_k); the label is the median.

    All scores have one derivative, that of f. P(level = k) is the product sigmoid(s_k) sigmoid(-s_k+1)
    (1 - exp(s_k+1 - s_k)), which has no cancellation: an unlikely level's probability is as exact as a likely one's.
    """

    task = "ordinal"
    last_layer = CumulativeLogits

    def labels(self, scores: int) -> int:
        """Returns one more than there are thresholds."""
        return scores + 1

    def derivatives(self, scores: int) -> int:
        """Returns 1, because all scores share one derivative."""
        return 1

    def label(self, s: Float[Tensor, "batch scores"]) -> Int[Tensor, " batch"]:
        """Returns the level: the number of scores above 0."""
        return (s > 0).sum(dim=1)

    def output(self, s: Float[Tensor, "batch scores"]) -> Float[Tensor, " batch"]:
        """Returns the expected level."""
        return s.sigmoid().sum(dim=1)

    def level_widths(self, bias: Float[Tensor, " scores"]) -> Float[Tensor, " inner"]:
        """Returns 1 - exp(b_k - b_k+1) of every level between two thresholds, exact for narrow levels."""
        return -torch.expm1(bias.diff())

    def probabilities(
        self, s: Float[Tensor, "batch scores"], widths: Tensor | None = None
    ) -> Float[Tensor, "batch labels"]:
        """Returns the levels' probabilities."""
        above, below = s.sigmoid(), (-s).sigmoid()
        inner = -torch.expm1(s.diff(dim=1)) if widths is None else widths
        return torch.cat([below[:, :1], above[:, :-1] * below[:, 1:] * inner, above[:, -1:]], dim=1)

    def through(
        self, s: Float[Tensor, "batch scores"], derivative: Float[Tensor, "batch derivatives columns"]
    ) -> Float[Tensor, "batch answers columns"]:
        """Returns the derivatives of the levels' probabilities; of `derivative` only the first row is used."""
        slopes = s.sigmoid() * (-s).sigmoid()
        return (F.pad(slopes, (1, 0)) - F.pad(slopes, (0, 1))).unsqueeze(2) * derivative[:, :1]

    def log_likelihood(self, s: Float[Tensor, "batch scores"], y: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """Returns the true level's log probability, finite and with a slope however wrong the scores are."""
        own = y.unsqueeze(1)
        reached = F.pad(s, (1, 0), value=BEYOND).gather(1, own).squeeze(1)
        exceeded = F.pad(s, (0, 1), value=-BEYOND).gather(1, own).squeeze(1)
        gap = (reached - exceeded).clamp_min(MIN_GAP)
        return F.logsigmoid(reached) + F.logsigmoid(-exceeded) + torch.log(-torch.expm1(-gap))

    def likelihood_gradient(
        self, s: Float[Tensor, "batch scores"], p: Tensor | None, labels: Int[Tensor, "batch answers"]
    ) -> Float[Tensor, "batch answers scores"]:
        """Returns the derivative: above 0 for the score that the level reaches, below 0 for the one it stays under."""
        gap = (s[:, :-1] - s[:, 1:]).clamp_min(MIN_GAP)
        narrow = torch.exp(-gap) / -torch.expm1(-gap)  # due to the level's width; 0 for the two outer levels
        reached = (-s).sigmoid() + F.pad(narrow, (0, 1))
        exceeded = s.sigmoid() + F.pad(narrow, (1, 0))
        place, level = torch.arange(s.shape[1], device=s.device), labels.unsqueeze(2)
        return (place == level - 1) * reached.unsqueeze(1) - (place == level) * exceeded.unsqueeze(1)


_LINKS: dict[Task, Link] = {link.task: link for link in (Regression(), Classification(), Ordinal())}


def link_of(task: Task) -> Link:
    """Returns the link of a task."""
    return _LINKS[task]
