"""Defines what a task's scores mean: the label, the reported output and its gradient, the probabilities, the names.

There is one class for each task, and one for two labels, where everything depends on a single margin. Nothing else in
the service says how scores become answers; `training.nn.link` is the counterpart in torch, and `lone.link` the one for
a single row in plain floats. Arrays are float64 with the rows first, (rows, S) for scores.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import Task

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

EXP_LIMIT = 700.0  # exp overflows in float64 a little above this


class Reading(NamedTuple):
    """Holds what was read from scores.

    Attributes:
        label: (rows,) index of the label; 0 where there are no labels.
        value: (rows,) the reported output: the label's probability, the expected level, or the predicted number.
        gradient: (rows, S) derivative of `value` with respect to the scores.
    """

    label: Indices
    value: Floats
    gradient: Floats


class Link(ABC):
    """Defines what the scores of one task mean.

    Attributes:
        task: the task whose scores it reads.
        has_labels: whether answers carry a label and probabilities.
        has_value: whether answers carry a number of their own beside (or instead of) the label.
    """

    task: ClassVar[Task]
    has_labels: ClassVar[bool] = True
    has_value: ClassVar[bool] = False

    @abstractmethod
    def names(self, labels: Sequence[str], target: str) -> list[str]:
        """Returns the name of each score, which says what it stands for."""

    @abstractmethod
    def label(self, s: Floats) -> Indices:
        """Returns the (rows,) index of the label."""

    @abstractmethod
    def read(self, s: Floats) -> Reading:
        """Returns the label, the reported output and its gradient."""

    @abstractmethod
    def output(self, s: Floats, label: Indices) -> Floats:
        """Returns the (rows,) reported output; where it is a probability, that of the given label."""

    @abstractmethod
    def deviation(self, s: Floats, label: Indices) -> Floats:
        """Returns the (rows,) reported output up to a constant and a sign.

        It keeps its relative precision where the output is nearly constant: for a label's probability p it is 1 - p.
        """

    @abstractmethod
    def probabilities(self, s: Floats) -> Floats | None:
        """Returns the (rows, K) probabilities of the labels, or None where there are no labels."""

    @abstractmethod
    def log_likelihood(self, s: Floats, y: NDArray[np.generic]) -> Floats:
        """Returns the (rows,) log probability of each row's true label; raises `TypeError` for a regression."""


class Regression(Link):
    """Reads one score, which is the predicted number itself."""

    task = "regression"
    has_labels = False
    has_value = True

    def names(self, labels: Sequence[str], target: str) -> list[str]:
        """Returns the target's name."""
        return [target]

    def label(self, s: Floats) -> Indices:
        """Returns zeros, because there is no label."""
        return np.zeros(len(s), np.int64)

    def read(self, s: Floats) -> Reading:
        """Returns the predicted number, whose gradient is 1."""
        return Reading(self.label(s), s[:, 0], np.ones_like(s))

    def output(self, s: Floats, label: Indices) -> Floats:
        """Returns the predicted number."""
        return s[:, 0]

    def deviation(self, s: Floats, label: Indices) -> Floats:
        """Returns the predicted number."""
        return s[:, 0]

    def probabilities(self, s: Floats) -> None:
        """Returns None, because there are no labels."""

    def log_likelihood(self, s: Floats, y: NDArray[np.generic]) -> Floats:
        """Raises `TypeError`, because there are no probabilities."""
        raise TypeError("a regression has no probabilities")


class Classification(Link):
    """Reads K logits: the label is the largest one's, or the first at a tie; the softmax gives the probabilities."""

    task = "classification"

    def names(self, labels: Sequence[str], target: str) -> list[str]:
        """Returns the labels."""
        return list(labels)

    def label(self, s: Floats) -> Indices:
        """Returns the index of the largest score."""
        return np.asarray(s.argmax(axis=1))

    def read(self, s: Floats) -> Reading:
        """Returns the label, its probability and that probability's gradient, exact where the softmax is saturated."""
        each = np.arange(len(s))
        label = s.argmax(axis=1)
        # The sum of the other labels' odds keeps its digits where p is so near 1 that 1 - p would lose them.
        odds = np.exp(-margins(s, label))
        others = odds.sum(axis=1)
        value = 1.0 / (1.0 + others)
        gradient = odds * -(value * value)[:, None]
        gradient[each, label] = others * value * value
        return Reading(label, value, gradient)

    def output(self, s: Floats, label: Indices) -> Floats:
        """Returns the probability of the given label."""
        return 1.0 - self.deviation(s, label)

    def deviation(self, s: Floats, label: Indices) -> Floats:
        """Returns the probability of all labels other than the given one."""
        return other_share(margins(s, label), axis=1)

    def probabilities(self, s: Floats) -> Floats:
        """Returns the softmax."""
        return softmax(s)

    def log_likelihood(self, s: Floats, y: NDArray[np.generic]) -> Floats:
        """Returns the true label's log softmax."""
        own = s[np.arange(len(s)), y.astype(np.int64)]
        return np.asarray(own - np.logaddexp.reduce(s, axis=1))


class Binary(Classification):
    """Reads two logits, of which only the difference matters."""

    def label(self, s: Floats) -> Indices:
        """Returns 1 where the second score is larger, else 0."""
        return (s[:, 0] < s[:, 1]).astype(np.int64)

    def read(self, s: Floats) -> Reading:
        """Returns the label, its probability and that probability's gradient, from the one margin."""
        difference = s[:, 0] - s[:, 1]
        label = (difference < 0).astype(np.int64)
        other = other_share(np.abs(difference))
        slope = other * (1.0 - other)
        gradient = np.empty_like(s)
        gradient[:, 0] = np.where(label == 0, slope, -slope)
        gradient[:, 1] = -gradient[:, 0]
        return Reading(label, 1.0 - other, gradient)


class Ordinal(Link):
    """Reads K - 1 scores s_k = f - b_k, b_k ordered: P(level > k) = sigmoid(s_k), and the label is the median."""

    task = "ordinal"
    has_value = True

    def names(self, labels: Sequence[str], target: str) -> list[str]:
        """Returns `> level` for every level that can be exceeded."""
        return [f"> {label}" for label in labels[:-1]]

    def label(self, s: Floats) -> Indices:
        """Returns the number of scores above 0."""
        return np.asarray((s > 0).sum(axis=1))

    def read(self, s: Floats) -> Reading:
        """Returns the label, the expected level and its gradient."""
        exceeded = sigmoid(s)
        return Reading(self.label(s), exceeded.sum(axis=1), exceeded * sigmoid(-s))

    def output(self, s: Floats, label: Indices) -> Floats:
        """Returns the expected level."""
        return np.asarray(sigmoid(s).sum(axis=1))

    def deviation(self, s: Floats, label: Indices) -> Floats:
        """Returns the expected level."""
        return self.output(s, label)

    def probabilities(self, s: Floats) -> Floats:
        """Returns the differences between the probabilities of exceeding neighbouring levels."""
        certain = np.ones((len(s), 1))
        return -np.diff(np.concatenate([certain, sigmoid(s), 0.0 * certain], axis=1), axis=1)

    def log_likelihood(self, s: Floats, y: NDArray[np.generic]) -> Floats:
        """Returns the true level's log probability, which is finite however unlikely the level is.

        The probability is sigmoid(a) sigmoid(-b) (1 - exp(b - a)) between the scores a and b on both sides of it.
        """
        each, level = np.arange(len(s)), y.astype(np.int64)
        beyond = np.full((len(s), 1), np.inf)
        reached = np.concatenate([beyond, s], axis=1)[each, level]
        exceeded = np.concatenate([s, -beyond], axis=1)[each, level]
        width = -np.expm1(-np.maximum(reached - exceeded, np.finfo(np.float64).tiny))
        return np.asarray(-np.logaddexp(0.0, -reached) - np.logaddexp(0.0, exceeded) + np.log(width))


_REGRESSION, _CLASSIFICATION, _BINARY, _ORDINAL = Regression(), Classification(), Binary(), Ordinal()


def link_of(task: Task, scores: int) -> Link:
    """Returns the link of a task whose models have so many scores."""
    if task == "classification":
        return _BINARY if scores == 2 else _CLASSIFICATION
    return _ORDINAL if task == "ordinal" else _REGRESSION


def margins(s: Floats, label: Indices) -> Floats:
    """Returns the (rows, S) lead of the label's score over each score; infinite over itself."""
    each = np.arange(len(s))
    margin: Floats = s[each, label][:, None] - s
    margin[each, label] = np.inf
    return margin


def other_share(margin: Floats, axis: int | None = None) -> Floats:
    """Returns the probability of all labels but one, given that label's leads; it stays precise where it is tiny.

    Args:
        margin: the label's lead over each label; infinite over itself.
        axis: the axis of the other labels; None where there is only one other label.
    """
    odds = np.exp(np.minimum(-margin, EXP_LIMIT))
    if axis is not None:
        odds = odds.sum(axis=axis)
    return np.asarray(odds / (1.0 + odds))


def softmax(s: Floats) -> Floats:
    """Returns the (rows, K) softmax."""
    odds = np.exp(s - s.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def softmax_gradient(p: Floats, label: Indices) -> Floats:
    """Returns the (rows, K) gradient of the label's probability in score space, from the (rows, K) probabilities."""
    each = np.arange(len(p))
    own = p[each, label]
    gradient = -own[:, None] * p
    gradient[each, label] += own
    return gradient


def sigmoid(x: Floats) -> Floats:
    """Returns 1 / (1 + exp(-x)), elementwise and without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))
