"""Makes regions of rows from the errors of others: as the service does, and as MAPIE does."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage.subjects import Subject
from chainzrule.service.stability.conformal import Regions, intervals, label_sets, make_conformity

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
FEWEST_FOR_RAPS = 200  # rows, of which it keeps a fifth to choose its parameters by

Results = dict[str, tuple[Floats, Floats]]
"""Holds by contender (confidences,) the share of regions that hold the truth, and their mean size."""


def ours(subject: Subject, known: Indices, asked: Indices, confidences: Floats) -> Results:
    """Returns what the service's regions are."""
    link, y = subject.link, subject.y[asked]
    volatility = subject.volatility[known]
    conformity = make_conformity(link, subject.scores[known], subject.y[known], volatility, out_of_fold=False)
    regions = Regions(conformity, link.has_labels and link.has_value)
    scores = subject.scores[asked]
    held, sizes = [], []
    for confidence in confidences:
        limits = regions.limits(np.full(len(asked), confidence))
        if link.has_labels:
            probabilities = link.probabilities(scores)
            assert probabilities is not None
            sets = label_sets(probabilities.astype(np.float32), link.label(scores), limits, regions.ordered)
            held.append(sets[np.arange(len(asked)), y.astype(np.int64)].mean())
            sizes.append(sets.sum(axis=1).mean())
        else:
            assert regions.scale is not None
            expected = regions.scale + regions.per_volatility * subject.volatility[asked]
            low, high = intervals(scores[:, 0], scores[:, 0], expected, limits)
            held.append(((low <= y) & (y <= high)).mean())
            sizes.append((high - low).mean())
    return {"ChainzRule": (np.array(held), np.array(sizes))}


def mapie_sets(subject: Subject, known: Indices, asked: Indices, confidences: Floats, seed: int) -> Results:
    """Returns what MAPIE's sets are, by each score that it has for the task."""
    from mapie.classification import SplitConformalClassifier
    from sklearn.base import BaseEstimator, ClassifierMixin

    probabilities = subject.link.probabilities(subject.scores)
    assert probabilities is not None
    K = probabilities.shape[1]

    class Stored(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """Answers a row, given by its number, as the model answered it."""

        classes_ = np.arange(K)
        n_features_in_ = 1

        def fit(self, X: Any, y: Any) -> "Stored":
            return self

        def predict_proba(self, X: Any) -> Any:
            return probabilities[np.asarray(X)[:, 0].astype(int)]

        def predict(self, X: Any) -> Any:
            return self.predict_proba(X).argmax(axis=1)

    y = subject.y.astype(np.int64)
    found: Results = {}
    scores = ["lac"] if K == 2 else ["lac", "aps", "top_k"]
    if K > 2 and len(known) >= FEWEST_FOR_RAPS:
        scores.append("raps")
    for score in scores:
        mapie = SplitConformalClassifier(Stored(), confidences.tolist(), score, prefit=True, random_state=seed)
        mapie.conformalize(known[:, None], y[known])
        _, sets = mapie.predict_set(asked[:, None])
        held = sets[np.arange(len(asked)), y[asked]].mean(axis=0)
        found[f"MAPIE {score}"] = held, sets.sum(axis=1).mean(axis=0)
    return found


def mapie_intervals(subject: Subject, known: Indices, asked: Indices, confidences: Floats, seed: int) -> Results:
    """Returns what MAPIE's intervals are, by each score that it has."""
    from mapie.conformity_scores import ResidualNormalisedScore
    from mapie.regression import SplitConformalRegressor
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    values = subject.scores[:, 0]
    numbered = np.column_stack([np.arange(len(values)), subject.x])

    class Stored(RegressorMixin, BaseEstimator):  # type: ignore[misc]
        """Answers a row, whose number stands before its features, as the model answered it."""

        n_features_in_ = numbered.shape[1]

        def fit(self, X: Any, y: Any) -> "Stored":
            return self

        def predict(self, X: Any) -> Any:
            return values[np.asarray(X)[:, 0].astype(int)]

    def normalised(estimator: Any) -> Any:
        features = FunctionTransformer(_without_number)
        return ResidualNormalisedScore(residual_estimator=make_pipeline(features, estimator), random_state=seed)

    scores: dict[str, Any] = {
        "absolute": "absolute",
        "residual_normalized, linear": normalised(LinearRegression()),
        "residual_normalized, forest": normalised(
            RandomForestRegressor(25, min_samples_leaf=5, random_state=seed, n_jobs=1)
        ),
    }
    if values.min() > 0 < subject.y.min():
        scores["gamma"] = "gamma"
    y = subject.y.astype(np.float64)
    found: Results = {}
    for name, score in scores.items():
        mapie = SplitConformalRegressor(Stored(), confidences.tolist(), score, prefit=True)
        mapie.conformalize(numbered[known], y[known])
        _, ends = mapie.predict_interval(numbered[asked])
        held = ((ends[:, 0] <= y[asked][:, None]) & (y[asked][:, None] <= ends[:, 1])).mean(axis=0)
        found[f"MAPIE {name}"] = held, (ends[:, 1] - ends[:, 0]).mean(axis=0)
    return found


def contend(
    subject: Subject, splits: int, confidences: Floats, show: Callable[[], object]
) -> dict[str, tuple[Floats, Floats]]:
    """Returns (splits, confidences) coverage and mean size of every contender over random halves of the rows."""
    rival = mapie_sets if subject.link.has_labels else mapie_intervals
    found: dict[str, tuple[list[Floats], list[Floats]]] = {}
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(subject.y))
        known, asked = np.array_split(order, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MAPIE warns of what is meant here
            results = ours(subject, known, asked, confidences) | rival(subject, known, asked, confidences, seed)
        for name, (held, size) in results.items():
            shares, sizes = found.setdefault(name, ([], []))
            shares.append(held)
            sizes.append(size)
        show()
    return {name: (np.array(shares), np.array(sizes)) for name, (shares, sizes) in found.items()}


def _without_number(x: Floats) -> Floats:
    return np.asarray(x)[:, 1:]
