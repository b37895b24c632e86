"""Fits every contender to the training rows of a split, and scores it on the others, which nothing was chosen by."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from chainzrule.service.artifact.interface import Task
from chainzrule.training.config import SMALL
from chainzrule.training.estimators import ChainzRuleClassifier, ChainzRuleRegressor

TEST_SHARE = 0.2
LEAST = 1e-15  # probabilities are held above this, as scikit-learn holds them

Make = Callable[[Task, int, int], Any]


def _chainzrule(task: Task, rows: int, seed: int) -> Any:
    """Returns what `chainzrule fit` does: settings are tried where there are few rows."""
    estimator = ChainzRuleRegressor if task == "regression" else ChainzRuleClassifier
    return estimator(tune=rows < SMALL, random_state=seed)


def _untuned(task: Task, _: int, seed: int) -> Any:
    estimator = ChainzRuleRegressor if task == "regression" else ChainzRuleClassifier
    return estimator(random_state=seed)


def _linear(task: Task, _: int, __: int) -> Any:
    model = RidgeCV(np.logspace(-3, 3, 13)) if task == "regression" else LogisticRegression(max_iter=2000)
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return make_pipeline(_by_kind(numbers, OneHotEncoder(handle_unknown="ignore", sparse_output=False)), model)


def _boosting(task: Task, _: int, seed: int) -> Any:
    made = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    return make_pipeline(_by_kind("passthrough", _codes()), made(random_state=seed))


def _lightgbm(task: Task, _: int, seed: int) -> Any:
    made = LGBMRegressor if task == "regression" else LGBMClassifier
    return make_pipeline(_by_kind("passthrough", _codes()), made(random_state=seed, verbose=-1, n_jobs=1))


CONTENDERS: Mapping[str, Make] = {
    "ChainzRule": _chainzrule,
    "ChainzRule, untuned": _untuned,
    "linear": _linear,
    "boosting": _boosting,
    "LightGBM": _lightgbm,
}


def contend(frame: pd.DataFrame, target: str, task: Task, seed: int) -> dict[str, dict[str, float]]:
    """Returns the figures of every contender on one split of a table."""
    y = frame[target] if task == "regression" else frame[target].astype(str)
    x = frame.drop(columns=target)
    stratify = None if task == "regression" else y
    train, test = train_test_split(np.arange(len(frame)), test_size=TEST_SHARE, random_state=seed, stratify=stratify)
    x, train, test = _usable(x, train, test)
    found = {}
    for name, make in CONTENDERS.items():
        begun = time.perf_counter()
        model = make(task, len(train), seed).fit(x.iloc[train], y.iloc[train])
        seconds = time.perf_counter() - begun
        found[name] = figures(task, model, x.iloc[test], y.iloc[test]) | {"seconds": seconds}
    return found


def figures(task: Task, model: Any, x: pd.DataFrame, y: "pd.Series[Any]") -> dict[str, float]:
    """Returns log loss and accuracy, or R2."""
    if task == "regression":
        return {"r2": float(r2_score(y, model.predict(x)))}
    p = np.clip(model.predict_proba(x), LEAST, 1.0)
    labels = [str(label) for label in model.classes_]
    return {
        "log_loss": float(log_loss(y, p / p.sum(axis=1, keepdims=True), labels=labels)),
        "accuracy": float(accuracy_score(y, np.array(labels)[p.argmax(axis=1)])),
    }


def _usable(x: pd.DataFrame, train: Any, test: Any) -> tuple[pd.DataFrame, Any, Any]:
    """Leaves out what a network refuses: test rows with a level, or a gap, that no training row has."""
    fine = np.ones(len(x), np.bool_)
    for name in x:
        values = x[name]
        if values.iloc[train].notna().all():
            fine &= values.notna().to_numpy()
        if not pd.api.types.is_numeric_dtype(values):
            fine &= (values.isin(values.iloc[train].dropna()) | values.isna()).to_numpy()
    return x, train, np.array([row for row in test if fine[row]])


def _by_kind(numbers: Any, levels: Any) -> Any:
    numeric = make_column_selector(dtype_include="number")
    return make_column_transformer((numbers, numeric), (levels, make_column_selector(dtype_exclude="number")))


def _codes() -> Any:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
