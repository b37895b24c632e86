"""Measures how well predicted probabilities agree with the frequencies that are then observed.

Everywhere `stated` is (rows,) chances and `seen` (rows,) shares of as many draws, for every row alike.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS = 15
UNCERTAIN = (0.02, 0.98)  # rows that really flip between these shares, where a stated chance can err by much


def auroc(score: Floats, weight_of_positives: Floats, weight_of_negatives: Floats) -> float | None:
    """Returns the area under the ROC curve, with ties counting half, or None where a class is empty.

    Args:
        score: (rows,) higher where the positive class is expected.
        weight_of_positives: (rows,) how many of the row's cases are positive.
        weight_of_negatives: (rows,) how many are not.
    """
    positives, negatives = weight_of_positives.sum(), weight_of_negatives.sum()
    if positives == 0 or negatives == 0:
        return None
    order = np.argsort(score, kind="stable")
    starts = np.unique(score[order], return_index=True)[1]
    right = np.add.reduceat(weight_of_positives[order], starts)
    wrong = np.add.reduceat(weight_of_negatives[order], starts)
    below = np.cumsum(wrong) - wrong
    return float((right * (below + 0.5 * wrong)).sum() / (positives * negatives))


def reliability(stated: Floats, seen: Floats) -> list[tuple[int, float, float]]:
    """Returns the rows, the mean stated and the mean seen chance of each non-empty one of `BINS` equal bins."""
    bins = np.minimum((stated * BINS).astype(int), BINS - 1)
    table = []
    for number in np.unique(bins):
        inside = bins == number
        table.append((int(inside.sum()), float(stated[inside].mean()), float(seen[inside].mean())))
    return table


def calibration_error(stated: Floats, seen: Floats) -> float:
    """Returns the expected calibration error: the mean distance of stated from seen over the bins, weighted by rows."""
    return sum(rows * abs(expected - found) for rows, expected, found in reliability(stated, seen)) / len(stated)


def brier_skill(stated: Floats, seen: Floats) -> float | None:
    """Returns 1 - the mean squared error over that of always stating the mean seen chance.

    It is None where all rows have the same seen chance.

    Errors are of the rows' chances, not of single draws: what chance leaves open no statement can explain.
    """
    spread = float(np.mean((seen - seen.mean()) ** 2))
    return 1.0 - float(np.mean((stated - seen) ** 2)) / spread if spread > 0 else None


def uncertain_error(stated: Floats, seen: Floats) -> tuple[int, float | None]:
    """Returns how many rows are uncertain, and the mean absolute error on them."""
    low, high = UNCERTAIN
    rows = (seen >= low) & (seen <= high)
    return int(rows.sum()), float(np.abs(stated - seen)[rows].mean()) if rows.any() else None
