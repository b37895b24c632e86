"""What every estimator does: read a table, fit, be pickled, and publish."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from chainzrule.loaded import load
from chainzrule.service.artifact.store import read_artifact
from chainzrule.service.errors import InvalidInput
from chainzrule.training.config import LBFGS_ROWS
from chainzrule.training.data.errors import DataError
from chainzrule.training.estimators import (
    ChainzRuleClassifier,
    ChainzRuleOrdinal,
    ChainzRuleRegressor,
)
from chainzrule.training.fitting.loop import Fit
from tests.training.estimating import ESTIMATORS, SMALL, Estimator, graded_patients, of_task, outputs


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    return graded_patients()


@pytest.mark.parametrize("optimiser", ["lbfgs", "adamw"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_weight_is_a_repetition_to_the_last_bit(
    estimator: Estimator, optimiser: str, early_stopping: bool, patients: pd.DataFrame
) -> None:
    one, X, y = of_task(estimator, patients, optimiser=optimiser, early_stopping=early_stopping, epochs=4)
    repeats = np.random.default_rng(0).integers(0, 4, len(X))
    place = np.random.default_rng(1).permutation(np.arange(len(X)).repeat(repeats))
    repeated = clone(one).fit(X.iloc[place], y.iloc[place])
    weighted = one.fit(X, y, sample_weight=repeats)
    np.testing.assert_array_equal(outputs(weighted, X), outputs(repeated, X))
    plain = clone(one).fit(X, y)
    assert not np.allclose(outputs(plain, X), outputs(weighted, X))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_table_is_read_as_the_command_line_reads_it(estimator: Estimator, patients: pd.DataFrame) -> None:
    model, X, y = of_task(estimator, patients)
    model.fit(X, y)
    age, dose, colour = model.features_
    assert age.fill is None
    assert dose.fill == pytest.approx(patients["dose"].median(), abs=0.05)
    assert colour.levels == ("blue", "green", "red", "(missing)")  # type: ignore[union-attr]
    assert list(model.feature_names_in_) == ["age", "dose", "colour"]
    np.testing.assert_allclose(outputs(model, X.iloc[40:41]), outputs(model, X)[40:41], rtol=1e-12)
    assert model.score(X, y) > (0.5 if estimator is ChainzRuleRegressor else 0.7)  # type: ignore[attr-defined]


def test_numbers_are_categories_when_named_so(patients: pd.DataFrame) -> None:
    X = patients[["age"]].assign(ward=np.arange(200) % 3)
    model = ChainzRuleClassifier(categorical=["ward"], **SMALL).fit(X, patients["outcome"])
    assert model.features_[1].levels == ("0", "1", "2")  # type: ignore[union-attr]
    assert outputs(model, X).shape == (200, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": "old"}, "'age' is to be numeric but holds text"),
        ({"age": np.inf}, "'age' holds 200 numbers that are infinite"),
    ],
)
def test_rows_that_the_model_cannot_take_are_named(
    change: dict[str, Any], message: str, patients: pd.DataFrame
) -> None:
    model, X, y = of_task(ChainzRuleClassifier, patients, epochs=1)
    model.fit(X, y)
    with pytest.raises(DataError, match=message):
        outputs(model, X.assign(**change))


def test_gaps_and_levels_that_training_did_not_see_are_the_usual_value(patients: pd.DataFrame) -> None:
    model, X, y = of_task(ChainzRuleClassifier, patients, epochs=3)
    model.fit(X, y)
    commonest = X["colour"].value_counts().index[0]
    for change, meant in (
        ({"age": np.nan}, {"age": np.quantile(X["age"], 0.5, method="inverted_cdf")}),
        ({"colour": "violet"}, {"colour": commonest}),
        ({"colour": 7}, {"colour": commonest}),
    ):
        np.testing.assert_allclose(outputs(model, X.assign(**change)), outputs(model, X.assign(**meant)), rtol=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_gap_and_a_rare_level_do_not_void_a_cross_validation(estimator: Estimator, patients: pd.DataFrame) -> None:
    model, X, y = of_task(estimator, patients, epochs=2)
    X = X.copy()
    X.loc[3, "age"] = np.nan
    X.loc[5, "colour"] = "violet"
    assert np.isfinite(cross_val_score(model, X, y, cv=4, error_score="raise")).all()


def test_a_lenient_model_is_asked_as_the_estimator_is(patients: pd.DataFrame, tmp_path: Path) -> None:
    model, X, y = of_task(ChainzRuleClassifier, patients, epochs=3)
    model.fit(X, y)
    odd = X.assign(number=range(len(X)))
    odd.loc[::3, "age"] = np.nan
    odd.loc[::4, "colour"] = "violet"
    records = [{k: None if v != v else v for k, v in row.items()} for row in odd.to_dict("records")]
    served = load(model.publish(tmp_path, "lenient", lenient=True))
    found = [[row["probabilities"][label] for label in served.card.labels] for row in served.predict(records)]
    np.testing.assert_allclose(found, outputs(model, odd[X.columns]), atol=1e-5)
    assert served.card.lenient
    strict = load(model.publish(tmp_path, "strict"))
    assert strict.card.lenient is None
    assert [strict.card.features[0].fill, strict.card.features[2].other] == [None, None]  # type: ignore[union-attr]
    with pytest.raises(InvalidInput):
        strict.predict(records)


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_other_tables_are_read_as_pandas_ones(kind: str, patients: pd.DataFrame) -> None:
    module = pytest.importorskip(kind)
    model, X, y = of_task(ChainzRuleClassifier, patients, epochs=2)
    table = module.from_pandas(X) if kind == "polars" else module.Table.from_pandas(X)
    target = module.from_pandas(y) if kind == "polars" else y
    other = clone(model).fit(table, target)
    np.testing.assert_array_equal(outputs(other, table), outputs(model.fit(X, y), X))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": np.inf}, "'age' holds 200 numbers that are infinite"),
        ({"number": np.arange(200)}, "'number' counts the rows"),
        ({"name": [f"p{row}" for row in range(200)]}, "'name' has another text in every row, like an id"),
        ({"dose": None}, "'dose' holds no value at all"),
        ({"age": 1.7e9 + np.arange(200) % 50}, "'age' reaches"),
    ],
)
def test_columns_that_cannot_be_learnt_from_are_named_before_training(
    change: dict[str, Any], message: str, patients: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fit, "epoch", None)
    model, X, y = of_task(ChainzRuleClassifier, patients)
    with pytest.raises(DataError, match=message):
        model.fit(X.assign(**change), y)


def test_two_columns_of_one_name_are_refused(patients: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="'age' occurs more than once"):
        ChainzRuleClassifier(**SMALL).fit(patients[["age", "age"]], patients["outcome"])


def test_a_category_needs_a_table(patients: pd.DataFrame) -> None:
    model, X, y = of_task(ChainzRuleClassifier, patients, epochs=1)
    model.fit(X, y)
    with pytest.warns(UserWarning, match="feature names"), pytest.raises(DataError, match="give X as a DataFrame"):
        outputs(model, np.ones((2, 3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degree": 7}, "network.degree"),
        ({"hidden": ()}, "network.hidden"),
        ({"optimiser": "sgd"}, "fit.optimiser"),
        ({"strength": -1.0}, "dreg.strength"),
        ({"noise": {"agee": 1.0}}, "'agee', which is no numeric feature"),
        ({"categorical": ["colou"]}, "no column is named 'colou'"),
    ],
)
def test_parameters_out_of_range_are_named(
    options: dict[str, Any], message: str, patients: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fit, "epoch", None)
    model, X, y = of_task(ChainzRuleClassifier, patients, **options)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_pickled_it_is_the_same(estimator: Estimator, patients: pd.DataFrame) -> None:
    model, X, y = of_task(estimator, patients, epochs=3)
    copy = pickle.loads(pickle.dumps(model.fit(X, y)))
    np.testing.assert_array_equal(outputs(copy, X), outputs(model, X))


def test_the_random_state_decides_everything(patients: pd.DataFrame) -> None:
    def fitted(state: Any) -> NDArray[Any]:
        model, X, y = of_task(ChainzRuleRegressor, patients, epochs=3, random_state=state)
        return outputs(model.fit(X, y), X)

    assert np.array_equal(fitted(1), fitted(1))
    assert np.array_equal(fitted(np.random.RandomState(1)), fitted(np.random.RandomState(1)))
    assert not np.array_equal(fitted(1), fitted(2))
    assert not np.array_equal(fitted(None), fitted(None))


@pytest.mark.parametrize("optimiser", ["lbfgs", "adamw"])
def test_early_stopping_ends_a_fit_that_no_longer_gains(optimiser: str) -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(150, 8)), random.integers(0, 2, 150)  # nothing to learn
    options: dict[str, Any] = {"optimiser": optimiser, "epochs": 300, "patience": 3, "random_state": 0}
    stopped = ChainzRuleClassifier(early_stopping=True, learning_rate=0.02, **options).fit(X, y)
    assert len(stopped.losses_) == stopped.n_iter_ + 3 < 100


def test_many_rows_are_fitted_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(LBFGS_ROWS + 1, 3))
    y = X[:, 0] * X[:, 1]
    monkeypatch.setattr(Fit, "_descend", None)
    assert ChainzRuleRegressor(random_state=0, epochs=5).fit(X, y).score(X, y) > 0.9
    with pytest.raises(TypeError, match="not callable"):
        ChainzRuleRegressor(random_state=0).fit(X[:2000], y[:2000])


def test_a_column_that_is_constant_in_a_fold_says_nothing(patients: pd.DataFrame) -> None:
    model, X, y = of_task(ChainzRuleClassifier, patients, epochs=3)
    model.fit(X.assign(ward=3.0, floor="one"), y)
    np.testing.assert_array_equal(
        outputs(model, X.assign(ward=3.0, floor="one")), outputs(model, X.assign(ward=-90.0, floor=None))
    )


def test_publishing_again_makes_the_next_version(patients: pd.DataFrame, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(2100, 2))
    y = np.digitize(X[:, 0] + random.normal(0, 0.3, 2100), [0])
    model = ChainzRuleClassifier(hidden=3, epochs=2, random_state=0).fit(X, y)
    paths = [model.publish(tmp_path, "signs") for _ in range(2)]
    assert [path.name for path in paths] == ["1", "2"]
    card = read_artifact(paths[1]).card
    assert [feature.name for feature in card.features] == ["x0", "x1"]
    assert (card.labels, card.target) == (("0", "1"), "target")
    assert card.reference.rows == 420  # a fifth, judged by a fit to the rest
    assert card.quality["accuracy"] > 0.8


@pytest.mark.parametrize(
    ("estimator", "labels", "message"),
    [
        (ChainzRuleClassifier, [0] * 28 + [1] * 2, "fewer than 5 rows"),
        (ChainzRuleOrdinal, [0, 1] * 15, "two labels; an ordinal task needs three"),
        (ChainzRuleRegressor, [1.0, 2.0, 3.0, 4.0], "4 rows; a regression needs 10"),
    ],
)
def test_too_little_to_measure_is_not_published(
    estimator: Estimator, labels: list[float], message: str, tmp_path: Path
) -> None:
    X = np.random.default_rng(0).normal(size=(len(labels), 2))
    model = estimator(**SMALL | {"epochs": 1}).fit(X, labels)
    with pytest.raises(DataError, match=message):
        model.publish(tmp_path, "model")
    assert not list(tmp_path.iterdir())
