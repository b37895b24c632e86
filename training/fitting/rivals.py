"""Fits what people would use instead on a table, as scikit-learn has it: a linear model, and boosted trees."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from chainzrule.service.artifact.interface import Task
from chainzrule.training.columns import Columns
from chainzrule.training.data.dataset import Rows

Floats = NDArray[np.float64]
Scores = Callable[[NDArray[np.float32]], Floats]

RIVALS = {"linear": "a linear model", "boosted": "boosted trees"}
"""The methods, and what to call them in a sentence."""

RARE = 1e-9  # the probability of labels that a rival has not seen, and the least of all others


def fit_rival(method: str, task: Task, labels: int, rows: Rows, columns: Columns, seed: int) -> tuple[Scores, int]:
    """Fits one of `RIVALS` with scikit-learn's defaults, on standardised columns.

    Args:
        method: its name.
        task: decides what is fitted.
        labels: how many labels there are; 0 for a regression.
        rows: raw rows.
        columns: their statistics.
        seed: of the trees.

    Returns:
        The function from raw rows to (rows, S) scores as the task's networks give them, and the number of parameters.
    """
    y = rows.y if task == "regression" else rows.y.astype(np.int64)
    model = _model(method, task, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(_standardised(rows.x, columns), y, sample_weight=rows.weights)

    def scores(x: NDArray[np.float32]) -> Floats:
        standardised = _standardised(x, columns)
        if task == "regression":
            return np.asarray(model.predict(standardised), np.float64)[:, None]
        p = np.full((len(x), labels), RARE)
        p[:, model.classes_] = np.maximum(model.predict_proba(standardised), RARE)
        if task == "classification":
            return np.asarray(np.log(p))
        above = np.clip(1.0 - np.cumsum(p / p.sum(axis=1, keepdims=True), axis=1)[:, :-1], RARE, 1.0 - RARE)
        return np.asarray(np.log(above) - np.log1p(-above))

    return scores, _parameters(model)


def _model(method: str, task: Task, seed: int) -> Any:
    if method == "linear":
        return Ridge() if task == "regression" else LogisticRegression(max_iter=1000)
    if task == "regression":
        return HistGradientBoostingRegressor(random_state=seed)
    return HistGradientBoostingClassifier(random_state=seed)


def _standardised(x: NDArray[np.float32], columns: Columns) -> Floats:
    """Returns what a scaler would give: rivals see bent columns as they are."""
    return np.asarray((x.astype(np.float64) - columns.mean) / columns.std)


def _parameters(model: Any) -> int:
    if isinstance(model, LogisticRegression | Ridge):
        return int(model.coef_.size + np.size(model.intercept_))
    # A split counts as two numbers (feature and threshold), a leaf as one.
    return sum(3 * tree.get_n_leaf_nodes() - 2 for stage in model._predictors for tree in stage)
