"""Measures the quality of answers on rows whose truth is known, whatever model gave them. Needs no torch."""

import math

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability.link import Link, link_of
from chainzrule.service.stability.reference import tail_ratio

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

QUALITY = {
    "accuracy": "share of rows that get their own label (classification, ordinal)",
    "quadratic_kappa": "agreement with the true levels beyond chance, misses weighted by their squared distance: 1 is "
    "perfect, 0 is chance (ordinal)",
    "log_loss": "mean negative log probability of the true label, in nats (classification, ordinal)",
    "majority_share": "share of those rows that the commonest label has, the accuracy of always answering it "
    "(classification, ordinal)",
    "frequency_log_loss": "mean negative log probability of the true label, in nats, where every answer is the labels' "
    "shares of those rows (classification, ordinal)",
    "rmse": "root mean squared error, in the target's unit (regression)",
    "mae": "mean absolute error, in the target's unit (regression) or in levels (ordinal)",
    "median_mae": "mean absolute error of always answering those rows' median level (ordinal)",
    "r2": "share of the target's variance that is explained (regression)",
    "input_gradient_norm_mean": "mean over the rows of g, the Frobenius norm of d probabilities / d standardised "
    "features (regression: of d output / d standardised features, in the target's unit)",
    "input_gradient_norm_p99": "99th percentile of g over the rows",
    "input_gradient_norm_max": "largest g over the rows",
    "input_gradient_norm_tail_ratio": "99th percentile of g over its mean",
}
"""Every key that a card's `quality` and its baselines' may hold, and what it means."""

SURE = 1.645  # standard errors by which a gain must exceed 0: by chance it does so in one of twenty models of noise

GUESSES = {"accuracy": "majority_share", "log_loss": "frequency_log_loss", "mae": "median_mae"}
"""Figures, and what a guess that looks at no feature would reach in their place."""


def quality(
    link: Link, y: NDArray[np.generic], scores: NDArray[np.floating], input_gradient: Floats
) -> dict[str, float]:
    """Returns the figures of `QUALITY` that a task has.

    Args:
        link: what the scores mean.
        y: (rows,) the true labels' indices, or the true numbers.
        scores: (rows, S).
        input_gradient: (rows,) g, the input-gradient norm.
    """
    return of_answers(link, y, scores) | {
        "input_gradient_norm_mean": float(np.mean(input_gradient)),
        "input_gradient_norm_p99": float(np.percentile(input_gradient, 99)),
        "input_gradient_norm_max": float(np.max(input_gradient)),
        "input_gradient_norm_tail_ratio": tail_ratio(input_gradient),
    }


def uninformative(link: Link, y: NDArray[np.generic], scores: NDArray[np.floating]) -> bool:
    """Returns whether answers are no better, beyond chance, than the labels' bare frequencies or the mean.

    A network that has learnt next to nothing gains a little by chance, so the mean gain of a row is held against its
    error.
    """
    if link.has_labels:
        labels = y.astype(np.int64)
        guessed = -np.log(np.bincount(labels) / len(labels))[labels]
    else:
        guessed = (y.astype(np.float64) - y.astype(np.float64).mean()) ** 2
    return not beyond_chance(guessed - losses(link, y, scores))


def losses(link: Link, y: NDArray[np.generic], scores: NDArray[np.floating]) -> Floats:
    """Returns each row's loss: the negative log probability of the true label, or the squared error."""
    s = scores.astype(np.float64)
    if link.has_labels:
        return -np.asarray(link.log_likelihood(s, y.astype(np.int64)))
    return np.asarray((y.astype(np.float64) - link.output(s, link.label(s))) ** 2)


def beyond_chance(gains: Floats) -> bool:
    """Returns whether the mean of the rows' gains is above 0 by more than chance makes of it."""
    return float(gains.mean()) > SURE * float(gains.std()) / math.sqrt(len(gains))


def of_answers(link: Link, y: NDArray[np.generic], scores: NDArray[np.floating]) -> dict[str, float]:
    """Returns the figures of (rows, S) scores against (rows,) true labels' indices or numbers."""
    s = scores.astype(np.float64)
    if not link.has_labels:
        return of_regression(y.astype(np.float64), link.output(s, link.label(s)))
    return of_levels(y.astype(np.int64), s) if link.has_value else of_labels(y.astype(np.int64), s)


def of_regression(y: Floats, output: Floats) -> dict[str, float]:
    """Returns the figures of (rows,) answered numbers against the true ones, in the target's unit."""
    error = output - y
    spread = float(np.sum((y - y.mean()) ** 2))
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "r2": 1 - float(np.sum(error**2)) / spread if spread > 0 else 0.0,
    }


def of_labels(y: Indices, scores: Floats) -> dict[str, float]:
    """Returns the figures of (rows, K) logits against (rows,) true labels."""
    link = link_of("classification", scores.shape[1])
    return {
        "accuracy": float(np.mean(link.label(scores) == y)),
        "log_loss": -float(np.mean(link.log_likelihood(scores, y))),
        **guesses(y),
    }


def of_levels(y: Indices, scores: Floats) -> dict[str, float]:
    """Returns the figures of (rows, K - 1) cumulative logits against (rows,) true levels."""
    link = link_of("ordinal", scores.shape[1])
    return {
        **agreement(y, link.label(scores)),
        "log_loss": -float(np.mean(link.log_likelihood(scores, y))),
        "median_mae": float(np.mean(np.abs(y - np.floor(np.median(y))))),
        **guesses(y),
    }


def agreement(y: Indices, level: Indices) -> dict[str, float]:
    """Returns accuracy, mean absolute error in levels and quadratic kappa of (rows,) answered levels."""
    miss = level - y
    # Agreement by chance is that of the same levels answered to rows drawn at random.
    by_chance = float(
        np.mean(np.square(level[:, None] - np.unique(y)) @ (np.unique(y, return_counts=True)[1] / len(y)))
    )
    return {
        "accuracy": float(np.mean(miss == 0)),
        "mae": float(np.mean(np.abs(miss))),
        "quadratic_kappa": 1 - float(np.mean(miss**2)) / by_chance if by_chance > 0 else 0.0,
    }


def guesses(y: Indices) -> dict[str, float]:
    """Returns the figures of constant answers, which look at no feature."""
    shares = np.unique(y, return_counts=True)[1] / len(y)
    return {"majority_share": float(shares.max()), "frequency_log_loss": float(-np.sum(shares * np.log(shares)))}
