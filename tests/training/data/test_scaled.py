"""Columns that were scaled before an estimator saw them are noticed."""

from typing import Any

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from chainzrule.training.data.columns import CategoricalColumn, NumericColumn
from chainzrule.training.data.scaled import scaling_of
from chainzrule.training.estimators import ChainzRuleRegressor

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.gamma(2.0, 30.0, (60, 3)), RANDOM.normal(size=60)
QUICK: dict[str, Any] = {"hidden": 2, "epochs": 1, "random_state": 0}


@pytest.mark.parametrize(
    ("steps", "before"),
    [
        ([], ()),
        (["passthrough"], ()),
        ([StandardScaler()], ("standardscaler",)),
        ([make_pipeline(StandardScaler(), "passthrough"), PCA(2)], ("pipeline", "pca")),
    ],
)
def test_the_steps_before_an_estimator_are_found_while_it_is_fitted(steps: list[Any], before: tuple[str, ...]) -> None:
    pipeline = make_pipeline(*steps, ChainzRuleRegressor(**QUICK)).fit(X, Y)
    assert pipeline[-1]._before == before
    nested = make_pipeline(*steps, make_pipeline(ChainzRuleRegressor(**QUICK))).fit(X, Y)
    assert len(nested[-1][-1]._before) == len(before)


def test_a_transformed_target_is_found_too() -> None:
    whole = TransformedTargetRegressor(ChainzRuleRegressor(**QUICK), func=np.log1p, inverse_func=np.expm1)
    assert whole.fit(X, np.abs(Y)).regressor_._before == ("a transformed target",)
    inside = make_pipeline(StandardScaler(), whole).fit(X, np.abs(Y))
    assert inside[-1].regressor_._before == ("standardscaler", "a transformed target")


def test_a_search_fits_pipelines_too() -> None:
    pipeline = make_pipeline(MinMaxScaler(), ChainzRuleRegressor(**QUICK))
    search = GridSearchCV(pipeline, {"chainzruleregressor__degree": [1, 2]}, cv=2).fit(X, Y)
    assert search.best_estimator_[-1]._before == ("minmaxscaler",)
    assert ChainzRuleRegressor(**QUICK).fit(X, Y)._before == ()


def columns(matrix: Any) -> list[NumericColumn | CategoricalColumn]:
    return [NumericColumn(f"x{place}", column) for place, column in enumerate(np.transpose(matrix))]


def test_scaled_columns_are_recognised() -> None:
    flag = NumericColumn("flag", np.tile([0.0, 1.0], 30))
    level = CategoricalColumn("level", np.zeros(60, np.int64), ("a",), ordered=False)
    gaps = np.where(X > 100, np.nan, X)
    for matrix in (X, gaps):
        assert scaling_of([*columns(StandardScaler().fit_transform(matrix)), flag, level]) == "standardised"
        assert scaling_of([*columns(MinMaxScaler().fit_transform(matrix)), flag, level]) == "scaled to 0..1"
        assert scaling_of([*columns(matrix), flag, level]) is None
    mixed = np.column_stack([StandardScaler().fit_transform(X)[:, :2], X[:, 2]])
    assert scaling_of(columns(mixed)) is None
    assert scaling_of([flag, level]) is None
    assert scaling_of(columns(RANDOM.normal(size=(60, 3)))) is None
    assert scaling_of(columns(np.linspace(0, 1, 60)[:, None])) is None  # one column may well be a share
