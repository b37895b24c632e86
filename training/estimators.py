"""Defines ChainzRule networks with scikit-learn's interface: a classifier, a regressor, and an ordinal estimator."""

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from chainzrule.service.artifact.interface import Task
from chainzrule.training.estimator import ChainzRuleEstimator

__all__ = ["ChainzRuleClassifier", "ChainzRuleEstimator", "ChainzRuleOrdinal", "ChainzRuleRegressor"]

Floats = NDArray[np.float64]


class ChainzRuleClassifier(ClassifierMixin, ChainzRuleEstimator):  # type: ignore[misc]
    """Tells classes apart. The arguments are `ChainzRuleEstimator`'s.

    Attributes:
        classes_: the labels, sorted.
    """

    _task: Task = "classification"

    def predict(self, X: Any) -> NDArray[Any]:
        """Returns (rows,) the most probable labels."""
        label = self._link.label(self._scores(X)).numpy()
        return np.asarray(self.classes_[label])

    def predict_proba(self, X: Any) -> Floats:
        """Returns (rows, classes) probabilities in the order of `classes_`."""
        return self._probabilities(X)

    def _target(self, y: Any) -> tuple[tuple[str, ...], NDArray[Any]]:
        y = _checked_labels(self, y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        return _texts(self.classes_), codes.astype(np.int64)


class ChainzRuleOrdinal(ChainzRuleEstimator):
    """Grades rows on a scale of ordered levels, by cumulative logits.

    The level it answers, here and when served, is the median of its probabilities, which errs by the fewest levels.
    That is not always the most probable level, so by scikit-learn's definition this is no classifier: a search or a
    cross-validation splits rows by level only where it is given such a splitter (`cv=StratifiedKFold(5)`).

    Args:
        levels: the labels from low to high. Absent, they are an ordered category's own, or sorted.
        hidden: this and all others are `ChainzRuleEstimator`'s.

    Attributes:
        classes_: the levels, lowest first.
        thresholds_: the places on the network's one output where each level ends.
    """

    _task: Task = "ordinal"

    def __init__(
        self,
        levels: Sequence[Any] | None = None,
        hidden: Sequence[int] = (32, 32),
        degree: int = 3,
        strength: float | None = None,
        fisher: float | None = None,
        optimiser: str = "auto",
        epochs: int = 60,
        batch: int = 64,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
        early_stopping: bool = True,
        validation: float = 0.15,
        patience: int = 15,
        categorical: Collection[str] = (),
        numeric: Collection[str] = (),
        noise: Mapping[str, Any] | None = None,
        noise_law: Mapping[str, Any] | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        bend: bool = True,
        tune: bool = False,
        budget: float = 120.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            hidden=hidden,
            degree=degree,
            strength=strength,
            fisher=fisher,
            optimiser=optimiser,
            epochs=epochs,
            batch=batch,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation=validation,
            patience=patience,
            categorical=categorical,
            numeric=numeric,
            noise=noise,
            noise_law=noise_law,
            class_weight=class_weight,
            bend=bend,
            tune=tune,
            budget=budget,
            random_state=random_state,
        )
        self.levels = levels

    @property
    def thresholds_(self) -> Floats:
        """Returns the (levels - 1,) thresholds, ascending."""
        check_is_fitted(self)
        thresholds: torch.Tensor = self.model_.network.output.thresholds  # type: ignore[assignment]
        return thresholds.detach().double().numpy()

    def predict(self, X: Any) -> NDArray[Any]:
        """Returns (rows,) levels: for each row, the level at the number of thresholds that its output exceeds."""
        label = self._link.label(self._scores(X)).numpy()
        return np.asarray(self.classes_[label])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Returns the accuracy: the share of rows whose level is predicted exactly."""
        return float(accuracy_score(y, self.predict(X), sample_weight=sample_weight))

    def predict_proba(self, X: Any) -> Floats:
        """Returns (rows, levels) probabilities from low to high."""
        return self._probabilities(X)

    def predict_value(self, X: Any) -> Floats:
        """Returns (rows,) the expected number of levels exceeded, which the service calls `value`."""
        return self._link.output(self._scores(X)).numpy()

    def _target(self, y: Any) -> tuple[tuple[str, ...], NDArray[Any]]:
        own = None
        if isinstance(y, pd.Series) and isinstance(y.dtype, pd.CategoricalDtype) and y.cat.ordered:
            own = [level for level in y.cat.categories if (y == level).any()]
        y = _checked_labels(self, y)
        found, codes = np.unique(y, return_inverse=True)
        given = own if self.levels is None else list(self.levels)
        if given is None:
            if found.dtype.kind not in "biuf":
                warnings.warn(
                    "the labels are no numbers and were put in the order of the alphabet; give them from low to high "
                    "(levels)",
                    stacklevel=3,
                )
            self.classes_ = found
            return _texts(found), codes.astype(np.int64)
        place = {level: index for index, level in enumerate(given)}
        if len(place) < len(given):
            raise ValueError("levels repeat; name each once, from low to high")
        if strange := [label for label in found.tolist() if label not in place]:
            raise ValueError(f"y holds '{str(strange[0])[:40]}', which is none of the levels given")
        self.classes_ = np.array(given)
        return _texts(self.classes_), np.array([place[label] for label in found.tolist()], np.int64)[codes]


class ChainzRuleRegressor(RegressorMixin, ChainzRuleEstimator):  # type: ignore[misc]
    """Predicts a number. The arguments are `ChainzRuleEstimator`'s."""

    _task: Task = "regression"

    def predict(self, X: Any) -> Floats:
        """Returns (rows,) numbers in the target's unit."""
        return self._link.output(self._scores(X)).numpy()

    def _target(self, y: Any) -> tuple[tuple[str, ...], NDArray[Any]]:
        if self.class_weight is not None:
            raise ValueError("class_weight is for labels; give the rows of a regression their own (sample_weight)")
        y = validate_data(self, X="no_validation", y=y, y_numeric=True)
        return (), np.asarray(y, dtype=np.float32)


def _checked_labels(estimator: ChainzRuleEstimator, y: Any) -> NDArray[Any]:
    """Returns (rows,) labels unchanged, once they are known to be valid."""
    y = validate_data(estimator, X="no_validation", y=y)
    check_classification_targets(y)
    return np.asarray(y)


def _texts(labels: NDArray[Any]) -> tuple[str, ...]:
    return tuple(map(str, labels.tolist()))
