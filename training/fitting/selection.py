"""Selects columns: those whose linear effect on the target is more than chance makes of so many columns."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_selection import f_classif, f_regression

FALSE_SHARE = 0.1  # of the selected columns that may have no effect, on average


def select(x: NDArray[np.float64], y: NDArray[np.generic], labels: bool) -> NDArray[np.bool_]:
    """Returns which columns to keep, by F tests at a false discovery rate (Benjamini and Hochberg 1995); at least one.

    Args:
        x: (rows, D) columns.
        y: (rows,) labels or numbers.
        labels: whether they are labels.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # constant columns, whose test is 0 / 0
        chances = (f_classif if labels else f_regression)(x, y)[1]
    chances = np.where(np.isfinite(chances), chances, 1.0)
    order = np.sort(chances)
    passed = order <= FALSE_SHARE * np.arange(1, len(order) + 1) / len(order)
    limit = order[np.flatnonzero(passed)[-1]] if passed.any() else order[0]
    return np.asarray(chances <= limit)
