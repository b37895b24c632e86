"""The three estimators, by scikit-learn's own checks and as they are served."""

import itertools
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.base import is_classifier, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.metrics import cohen_kappa_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from chainzrule.training.estimators import (
    ChainzRuleClassifier,
    ChainzRuleEstimator,
    ChainzRuleOrdinal,
    ChainzRuleRegressor,
)
from tests.processes import service
from tests.training.estimating import ESTIMATORS, LEVELS, SMALL, graded_patients, of_task


@parametrize_with_checks([estimator() for estimator in ESTIMATORS])
def test_scikit_learns_own_checks(estimator: ChainzRuleEstimator, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    return graded_patients()


def test_they_are_what_they_say() -> None:
    assert is_classifier(ChainzRuleClassifier())
    assert is_regressor(ChainzRuleRegressor())


@pytest.mark.parametrize(
    ("levels", "labels", "message"),
    [
        (["none", "mild"], ["none", "mild", "severe"], "'severe', which is none of the levels"),
        (["none", "mild", "mild"], ["none", "mild", "mild"], "repeat"),
        (LEVELS, ["mild"] * 3, "one class"),
    ],
)
def test_levels_that_do_not_fit_are_named(levels: list[str], labels: list[str], message: str) -> None:
    X = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(ValueError, match=message):
        ChainzRuleOrdinal(levels=levels, **SMALL).fit(X, labels * 10)


def test_an_ordered_category_brings_its_levels(patients: pd.DataFrame) -> None:
    X, y = patients[["age", "dose"]], pd.Categorical(patients["level"], categories=[*LEVELS, "dead"], ordered=True)
    model = ChainzRuleOrdinal(**SMALL).fit(X, pd.Series(y))
    assert model.classes_.tolist() == LEVELS
    assert (np.diff(model.thresholds_) > 0).all()
    value = model.predict_value(X)
    np.testing.assert_allclose(value, model.predict_proba(X) @ np.arange(3))
    assert cohen_kappa_score(patients["level"], model.predict(X), labels=LEVELS, weights="quadratic") > 0.5


def test_text_without_an_order_is_warned_of(patients: pd.DataFrame) -> None:
    with pytest.warns(UserWarning, match="order of the alphabet"):
        model = ChainzRuleOrdinal(**SMALL | {"epochs": 1}).fit(patients[["age"]], patients["level"])
    assert model.classes_.tolist() == sorted(LEVELS)


def test_it_works_in_pipelines_and_searches() -> None:
    X, y = datasets.load_breast_cancer(return_X_y=True, as_frame=True)
    X = X.iloc[:, :6]
    scaled = ColumnTransformer([("all", StandardScaler(), list(X.columns))])
    pipeline = make_pipeline(scaled, ChainzRuleClassifier(**SMALL))
    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.88
    grid = {
        "chainzruleclassifier__strength": np.array([0.1, 1.0]),
        "chainzruleclassifier__hidden": [(4,), np.array([5, 4])],
    }
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.88
    assert len(search.cv_results_["params"]) == 4
    regressor = ChainzRuleRegressor(early_stopping=True, **SMALL)
    assert cross_val_score(regressor, *datasets.load_diabetes(return_X_y=True), cv=3).mean() > 0.35


TOGETHER = {"groups": [{"columns": ["age", "dose"], "correlation": 0.5}]}


@pytest.fixture(scope="module")
def published(
    patients: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[str, ChainzRuleEstimator]]]:
    """A real server on what the three have published, one of them out of a pickle."""
    root = tmp_path_factory.mktemp("published")
    models = {}
    for name, estimator in zip(("outcome", "stay", "level"), ESTIMATORS, strict=True):
        model, X, y = of_task(estimator, patients, noise={"age": 1.5}, noise_law=TOGETHER)
        model.fit(X, y, sample_weight=np.arange(len(X)) % 3)
        models[name] = pickle.loads(pickle.dumps(model)) if name == "level" else model
        path = models[name].publish(root / "models", name)
        assert path == root / "models" / name / "1"
    with service(root / "models") as (address, _):
        yield address, models


def instances(X: pd.DataFrame) -> list[dict[str, Any]]:
    records = X.to_dict("records")
    return [{str(name): None if pd.isna(value) else value for name, value in row.items()} for row in records]


@pytest.mark.parametrize("name", ["outcome", "stay", "level"])
def test_what_is_published_is_served_and_says_the_same(
    name: str, published: tuple[str, dict[str, ChainzRuleEstimator]], patients: pd.DataFrame
) -> None:
    address, models = published
    model, X = models[name], patients[["age", "dose", "colour"]].iloc[:60]
    answer = httpx.post(f"{address}/predict", json={"model": name, "instances": instances(X)})
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    if isinstance(model, ChainzRuleRegressor):
        np.testing.assert_allclose([found["value"] for found in predictions], model.predict(X), rtol=1e-4)
        return
    assert isinstance(model, ChainzRuleClassifier | ChainzRuleOrdinal)
    assert [found["label"] for found in predictions] == model.predict(X).tolist()
    served = [[found["probabilities"][label] for label in model.classes_] for found in predictions]
    np.testing.assert_allclose(served, model.predict_proba(X), rtol=1e-3, atol=1e-5)
    if isinstance(model, ChainzRuleOrdinal):
        np.testing.assert_allclose([found["value"] for found in predictions], model.predict_value(X), rtol=1e-4)


def test_the_card_says_how_the_recipe_does_on_rows_held_out(
    published: tuple[str, dict[str, ChainzRuleEstimator]],
) -> None:
    address, _ = published
    cards = {name: httpx.get(f"{address}/models/{name}").json()["card"] for name in ("outcome", "stay", "level")}
    for card in cards.values():
        assert card["reference"]["out_of_fold"]
        assert card["reference"]["rows"] == card["provenance"]["training_rows"] == 133  # a third had no weight
        assert card["target"] == card["name"]
        assert card["features"][0]["noise"] == 1.5
        [group] = card["noise"]["groups"]
        assert group == {"features": ["age", "dose"], "correlation": [[1.0, 0.5], [0.5, 1.0]]}
        assert card["baselines"][0]["method"] == "relu"
    assert cards["outcome"]["quality"]["accuracy"] > cards["outcome"]["quality"]["majority_share"]
    assert cards["level"]["labels"] == LEVELS
    assert cards["level"]["quality"]["mae"] < cards["level"]["quality"]["median_mae"]
    assert cards["stay"]["quality"]["r2"] > 0.3


def test_sensitivities_name_the_columns(
    published: tuple[str, dict[str, ChainzRuleEstimator]], patients: pd.DataFrame
) -> None:
    address, models = published
    row = patients[["age", "dose", "colour"]].iloc[[1]]
    body = {"model": "stay", "instances": instances(row)}
    (explained,) = httpx.post(f"{address}/sensitivity", json=body).json()["predictions"]
    entries = {entry["feature"]: entry for entry in explained["sensitivities"]}
    assert set(entries) == {"age", "dose", "colour"}
    here = float(models["stay"].predict(row)[0])  # type: ignore[attr-defined]
    for level, change in entries["colour"]["switch"].items():
        other = row.assign(colour=None if level == "(missing)" else level)
        there = float(models["stay"].predict(other)[0])  # type: ignore[attr-defined]
        assert change == pytest.approx(there - here, abs=1e-3)


def test_every_parameter_is_described() -> None:
    documented = str(ChainzRuleEstimator.__doc__)
    for name, estimator in itertools.product(ChainzRuleEstimator().get_params(), ESTIMATORS):
        assert f"        {name}: " in documented
        assert name in estimator().get_params()
