"""Boosters, converted beside their own answers; XGBoost and CatBoost where they are installed."""

from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import pandas as pd
import pytest

from chainzrule.training.adopt.convert.boosters import from_catboost, from_lightgbm, from_xgboost
from chainzrule.training.adopt.convert.converted import Converted

RANDOM = np.random.default_rng(0)
X = pd.DataFrame(RANDOM.normal(size=(200, 3)).round(2), columns=["a b", "c", "d"]).astype(np.float32)
X = X.mask(RANDOM.random(X.shape) < 0.1)
SIGN = np.where(X["a b"].fillna(0) + X["c"].fillna(0.3) > 0, "up", "down")
VALUE = X["a b"].fillna(0) - 2 * X["c"].fillna(0.3)


def run(found: Converted, x: pd.DataFrame) -> np.ndarray:
    session = onnxruntime.InferenceSession(found.model.SerializeToString(), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    answer = session.run(None, {given.name: x.to_numpy(np.float32)})[-1]
    return np.array([list(row.values()) for row in answer]) if isinstance(answer, list) else answer


def light(kind: str, **parts: Any) -> Any:
    return getattr(lightgbm, kind)(n_estimators=20, min_child_samples=5, verbose=-1, n_jobs=1, **parts)


def test_lightgbm_answers_the_same_also_beside_gaps() -> None:
    model = light("LGBMClassifier").fit(X, SIGN)
    found = from_lightgbm(model, X)
    assert (found.labels, found.levels) == (("down", "up"), {})
    np.testing.assert_allclose(found.answers, model.predict_proba(X))
    np.testing.assert_allclose(run(found, X), found.answers, atol=1e-6)
    value = light("LGBMRegressor").fit(X, VALUE)
    np.testing.assert_allclose(run(from_lightgbm(value, X), X), from_lightgbm(value, X).answers, atol=1e-5)


def test_a_bare_lightgbm_booster_gives_what_it_predicts() -> None:
    model = light("LGBMClassifier").fit(X, SIGN).booster_
    found = from_lightgbm(model, X)
    assert (found.labels, found.answers.shape) == ((), (200, 1))
    np.testing.assert_allclose(run(found, X)[:, 1:], found.answers, atol=1e-6)


def test_lightgbms_own_categories_keep_their_numbers() -> None:
    frame = X.assign(job=pd.Categorical(RANDOM.choice(["cook", "clerk", "driver"], 200), ["driver", "cook", "clerk"]))
    value = VALUE + frame["job"].cat.codes
    model = light("LGBMRegressor", min_data_per_group=5, cat_smooth=1.0).fit(frame, value)
    found = from_lightgbm(model, frame)
    assert found.levels == {"job": ("driver", "cook", "clerk")}
    numbered = frame.assign(job=frame["job"].cat.codes)
    np.testing.assert_allclose(run(found, numbered), found.answers, atol=1e-5)


def test_xgboost_answers_the_same_also_beside_gaps() -> None:
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=10, n_jobs=1).fit(X, SIGN == "up")
    found = from_xgboost(model, X)
    assert (found.labels, found.answers.shape) == (("0", "1"), (200, 1))
    np.testing.assert_allclose(run(found, X), found.answers, atol=1e-5)
    value = xgboost.XGBRegressor(n_estimators=10, n_jobs=1).fit(X.to_numpy(), VALUE)
    np.testing.assert_allclose(run(from_xgboost(value, X), X), from_xgboost(value, X).answers, atol=1e-4)


def test_categories_of_xgboost_keep_their_numbers() -> None:
    xgboost = pytest.importorskip("xgboost")
    frame = X.assign(job=pd.Categorical(RANDOM.choice(["cook", "clerk", "driver"], 200), ["driver", "cook", "clerk"]))
    value = VALUE + frame["job"].cat.codes
    model = xgboost.XGBRegressor(n_estimators=8, enable_categorical=True).fit(frame, value)
    found = from_xgboost(model, frame)
    assert found.levels == {"job": ("driver", "cook", "clerk")}
    np.testing.assert_allclose(run(found, frame.assign(job=frame["job"].cat.codes)), found.answers, atol=1e-5)


def test_xgboost_stops_where_it_was_best() -> None:
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBRegressor(n_estimators=200, early_stopping_rounds=2)
    model.fit(X[:100], VALUE[:100], eval_set=[(X[100:], VALUE[100:])], verbose=False)
    assert model.best_iteration < 199
    found = from_xgboost(model, X)
    np.testing.assert_allclose(run(found, X), found.answers, atol=1e-5)


def test_catboost_answers_the_same() -> None:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(iterations=10, verbose=False, allow_writing_files=False).fit(X, SIGN)
    found = from_catboost(model, X)
    assert (found.labels, found.answers.shape) == (("down", "up"), (200, 1))
    np.testing.assert_allclose(run(found, X), found.answers, atol=1e-5)


def test_a_random_forest_of_lightgbm_is_averaged() -> None:
    model = light("LGBMClassifier", boosting_type="rf", bagging_freq=1, bagging_fraction=0.7).fit(X, SIGN)
    found = from_lightgbm(model, X)
    np.testing.assert_allclose(run(found, X), found.answers, atol=1e-6)


def test_catboosts_counts_are_exponents() -> None:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostRegressor(loss_function="Poisson", iterations=10, verbose=False, allow_writing_files=False)
    found = from_catboost(model.fit(X, np.exp(VALUE)), X)
    np.testing.assert_allclose(run(found, X), found.answers, rtol=1e-4)
