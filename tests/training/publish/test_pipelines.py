"""A pipeline is published whole: its raw rows are answered as it answers them, or it is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

import chainzrule
from chainzrule.training.columns import Columns
from chainzrule.training.errors import TrainingError
from chainzrule.training.estimators import ChainzRuleClassifier, ChainzRuleRegressor
from chainzrule.training.publish.pipelines import _flat, folded, publish
from tests.training.estimating import graded_patients

QUICK: dict[str, Any] = {"hidden": 4, "epochs": 3, "random_state": 0}


def raw(rows: int = 160) -> pd.DataFrame:
    random = np.random.default_rng(1)
    age, dose = random.normal(50, 12, rows).round(1), random.gamma(2.0, 300.0, rows).round()
    return pd.DataFrame({"age": age, "dose": dose, "share": random.beta(2, 5, rows)})


X = raw()
Y = np.where(X["age"] / 12 + X["dose"] / 400 + 3 * X["share"] > 6.5, "yes", "no")
GAPS = X.mask(np.random.default_rng(2).random(X.shape) < 0.1)

FRONTS = [
    (X, [StandardScaler()]),
    (X, [StandardScaler(with_mean=False), StandardScaler(with_std=False)]),
    (X, [RobustScaler(), MinMaxScaler(feature_range=(-1, 3))]),
    (X, [MaxAbsScaler(), FunctionTransformer()]),
    (GAPS, [StandardScaler()]),  # the estimator fills the gaps
    (GAPS, [SimpleImputer(), StandardScaler()]),
    (GAPS, [RobustScaler(), SimpleImputer(strategy="median"), "passthrough"]),
    (GAPS, [make_pipeline(SimpleImputer(strategy="constant", fill_value=7.0)), MinMaxScaler()]),
]


@pytest.mark.parametrize(("table", "steps"), FRONTS, ids=lambda value: str(value)[:60])
@pytest.mark.parametrize("named", [True, False])
def test_raw_rows_are_answered_as_the_pipeline_answers(table: pd.DataFrame, steps: list[Any], named: bool) -> None:
    given: Any = table if named else table.to_numpy()
    pipeline = make_pipeline(*steps, ChainzRuleClassifier(**QUICK)).fit(given, Y)
    found: Any = folded(list(_flat(pipeline)))
    np.testing.assert_allclose(found.predict_proba(given), pipeline.predict_proba(given), atol=1e-5)
    assert [feature.name for feature in found.features_] == (list(X) if named else ["x0", "x1", "x2"])
    assert not found.model_.columns.out_of_range(found._dataset.train.x).any()


@pytest.mark.parametrize(("table", "steps"), [FRONTS[0], FRONTS[5]], ids=["scaled", "filled"])
def test_what_is_published_answers_so_too(table: pd.DataFrame, steps: list[Any], tmp_path: Path) -> None:
    pipeline = make_pipeline(*steps, ChainzRuleClassifier(**QUICK)).fit(table, Y)
    answers = chainzrule.load(publish(pipeline, tmp_path, "whole")).predict(table.to_numpy())
    found = [[answer["probabilities"][label] for label in ("no", "yes")] for answer in answers]
    np.testing.assert_allclose(found, pipeline.predict_proba(table), atol=1e-5)
    assert not any(answer["stability"]["out_of_range"] for answer in answers)


def test_facts_are_in_raw_units(tmp_path: Path) -> None:
    target = X["dose"] / 100 + np.random.default_rng(3).normal(size=len(X))
    direct = ChainzRuleRegressor(**QUICK).fit(X, target)
    behind = folded(list(make_pipeline(StandardScaler(), ChainzRuleRegressor(**QUICK)).fit(X, target).steps))
    for one, other in zip(direct.features_, behind.features_, strict=True):
        assert one.name == other.name
        for fact in ("mean", "std", "low", "high", "noise"):
            assert getattr(other, fact) == pytest.approx(getattr(one, fact), abs=1e-5 * one.std), fact  # type: ignore[union-attr]
    np.testing.assert_allclose(behind.predict(X.iloc[:0:-1]), behind.predict(X)[:0:-1])


def test_noise_is_declared_in_raw_units(tmp_path: Path) -> None:
    pipeline = make_pipeline(StandardScaler(), ChainzRuleClassifier(**QUICK)).fit(X, Y)
    card = chainzrule.load(publish(pipeline, tmp_path, "noisy", noise={"age": 0.5})).card
    assert card.features[0].noise == 0.5  # type: ignore[union-attr]
    scaled = make_pipeline(StandardScaler(), ChainzRuleClassifier(noise={"x0": 0.25}, **QUICK)).fit(X, Y)
    card = chainzrule.load(publish(scaled, tmp_path, "noisy")).card
    assert card.features[0].noise == pytest.approx(0.25 * X["age"].std(ddof=0))  # type: ignore[union-attr]


def test_an_estimator_and_a_search_are_published_too(tmp_path: Path) -> None:
    direct = ChainzRuleClassifier(**QUICK).fit(X, Y)
    assert publish(direct, tmp_path, "alone") == tmp_path / "alone" / "1"
    search = GridSearchCV(
        make_pipeline(StandardScaler(), ChainzRuleClassifier(**QUICK)), {"chainzruleclassifier__degree": [1, 2]}, cv=2
    ).fit(X, Y)
    answers = chainzrule.load(publish(search, tmp_path, "best")).predict(X)
    assert [answer["label"] for answer in answers] == search.predict(X).tolist()


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (PCA(3), r"step 'pca' \(PCA\) can be folded into the model only where it is a scaler or an imputer"),
        (MinMaxScaler(clip=True), "only where it does not clip"),
        (SimpleImputer(add_indicator=True), "only where it fills NaN in every column"),
        (SimpleImputer(missing_values=-1), "only where it fills NaN in every column"),
        (FunctionTransformer(np.log1p), "only where it is a scaler or an imputer"),
    ],
)
def test_what_cannot_be_folded_is_refused_by_name(step: Any, said: str, tmp_path: Path) -> None:
    pipeline = make_pipeline(step, ChainzRuleClassifier(**QUICK)).fit(
        GAPS.fillna(9.0) if "Imp" not in said else GAPS, Y
    )
    with pytest.raises(TrainingError, match=said):
        publish(pipeline, tmp_path, "none")
    assert not list(tmp_path.iterdir())


def test_a_model_that_would_answer_otherwise_is_refused(tmp_path: Path) -> None:
    """As it would if a step did more than its numbers say."""

    class Odd(StandardScaler):  # type: ignore[misc]
        def transform(self, X: Any, copy: Any = None) -> Any:
            return super().transform(X) ** 2

    odd = make_pipeline(Odd(), ChainzRuleClassifier(**QUICK)).fit(X, Y)
    with pytest.raises(TrainingError, match="does not answer as the pipeline does"):
        publish(odd, tmp_path, "odd")


def test_the_last_step_alone_is_not_published(tmp_path: Path) -> None:
    pipeline = make_pipeline(StandardScaler(), ChainzRuleClassifier(**QUICK)).fit(X, Y)
    with pytest.raises(ValueError, match=r"was fitted behind standardscaler.*chainzrule.publish"):
        pipeline[-1].publish(tmp_path, "last")
    assert not list(tmp_path.iterdir())


def test_columns_that_look_scaled_are_warned_of(tmp_path: Path) -> None:
    model = ChainzRuleClassifier(**QUICK).fit(StandardScaler().fit_transform(X), Y)
    with pytest.warns(UserWarning, match="look standardised"):
        model.publish(tmp_path, "scaled")


def test_levels_pass_no_other_step(tmp_path: Path) -> None:
    patients = graded_patients()
    table = patients[["age", "dose", "colour"]].fillna({"colour": "red"})
    front = SimpleImputer(strategy="most_frequent").set_output(transform="pandas")
    pipeline = Pipeline([("fill", front), ("model", ChainzRuleClassifier(**QUICK))]).fit(table, patients["outcome"])
    with pytest.raises(TrainingError, match="give the table to the estimator itself"):
        publish(pipeline, tmp_path, "none")


@pytest.mark.parametrize("model", [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())])
def test_other_models_are_adopted(model: Any, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"`chainzrule\.adopt` publishes other models"):
        publish(model.fit(X, Y), tmp_path, "other")


def test_columns_follow_the_features() -> None:
    found = folded(list(make_pipeline(RobustScaler(), ChainzRuleClassifier(**QUICK)).fit(X, Y).steps))
    expected = Columns.of(found.features_, None)
    np.testing.assert_array_equal(found.model_.columns.mean, expected.mean)
    np.testing.assert_array_equal(found.model_.columns.noise, expected.noise)
