"""Figures of answers on rows that are known, whatever model gave them. Needs no torch."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def of_regression(y: Floats, output: Floats) -> dict[str, float]:
    """Of (rows,) answers, in the target's unit."""
    error = output - y
    spread = float(np.sum((y - y.mean()) ** 2))
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "r2": 1 - float(np.sum(error**2)) / spread if spread > 0 else 0.0,
    }


def of_labels(y: Indices, scores: Floats) -> dict[str, float]:
    """Of (rows, K) scores, against (rows,) true labels."""
    own = scores[np.arange(len(y)), y]
    return {
        "accuracy": float(np.mean(scores.argmax(axis=1) == y)),
        "log_loss": float(np.mean(np.logaddexp.reduce(scores, axis=1) - own)),
        **guesses(y),
    }


def guesses(y: Indices) -> dict[str, float]:
    """What answers that look at no feature reach."""
    shares = np.unique(y, return_counts=True)[1] / len(y)
    return {"majority_share": float(shares.max()), "frequency_log_loss": float(-np.sum(shares * np.log(shares)))}
