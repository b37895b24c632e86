"""Fits what practitioners would try first on a table: a linear model and boosted trees."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor, nn

from chainzrule.training.fairfight.measure import Network
from chainzrule.training.fairfight.problems import Problem
from chainzrule.training.fairfight.settings import Settings
from chainzrule.training.fitting.loop import Batch

METHODS: Mapping[str, str] = {"linear": "Logistic or ridge regression", "boosting": "Histogram gradient boosting"}

PENALTIES = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4)
"""The nine settings of the linear model: the factor of its squared weights."""

BOOSTS: Sequence[tuple[float, int]] = [(rate, leaves) for rate in (0.03, 0.1, 0.3) for leaves in (7, 15, 31)]
"""The nine settings of the trees: learning rate, leaves of a tree."""


def fit(method: str, settings: Settings, problem: Problem, rows: Batch, seed: int) -> tuple[Network, int]:
    """Returns the fitted map from standardised features to scores, and its number of parameters."""
    x, y = (part.numpy() for part in rows)
    if method == "linear":
        return _linear(x, y, settings.strength, problem)
    return _trees(x, y, settings, problem, seed)


def _linear(x: Any, y: Any, strength: float, problem: Problem) -> tuple[nn.Linear, int]:
    linear = nn.Linear(problem.inputs, problem.scores)
    if not problem.link.has_labels:
        model = Ridge(alpha=strength * len(x)).fit(x, y)
        weight, bias = model.coef_[None], np.atleast_1d(model.intercept_)
    else:
        model = LogisticRegression(C=1 / (strength * len(x)), max_iter=2000).fit(x, y)
        weight, bias = model.coef_, model.intercept_
        if len(weight) == 1:  # two classes share one score
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight))
        linear.bias.copy_(torch.from_numpy(bias))
    return linear.requires_grad_(False), model.coef_.size + np.size(model.intercept_)


def _trees(x: Any, y: Any, settings: Settings, problem: Problem, seed: int) -> tuple[Network, int]:
    leaves = round(settings.strength)
    if not problem.link.has_labels:
        model = HistGradientBoostingRegressor(
            learning_rate=settings.learning_rate, max_leaf_nodes=leaves, random_state=seed, early_stopping=True
        ).fit(x, y)

        def predict(rows: Tensor) -> Tensor:
            return torch.from_numpy(model.predict(rows.numpy())).float()[:, None]
    else:
        model = HistGradientBoostingClassifier(
            learning_rate=settings.learning_rate, max_leaf_nodes=leaves, random_state=seed, early_stopping=True
        ).fit(x, y)

        def predict(rows: Tensor) -> Tensor:
            return torch.from_numpy(model.predict_proba(rows.numpy())).float()

    # A split counts as two numbers (feature and threshold), a leaf as one.
    nodes = sum(3 * tree.get_n_leaf_nodes() - 2 for stage in model._predictors for tree in stage)
    return predict, nodes
