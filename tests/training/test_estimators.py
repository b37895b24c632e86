import itertools
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.metrics import cohen_kappa_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from chainzrule.service.artifact.store import read_artifact
from chainzrule.training.data.errors import DataError
from chainzrule.training.estimators import (
    ChainzRuleClassifier,
    ChainzRuleEstimator,
    ChainzRuleOrdinal,
    ChainzRuleRegressor,
)
from chainzrule.training.fitting.loop import Fit
from tests.processes import service

ESTIMATORS = (ChainzRuleClassifier, ChainzRuleRegressor, ChainzRuleOrdinal)
LEVELS = ["none", "mild", "severe"]
SMALL: dict[str, Any] = {"hidden": (6, 5), "epochs": 12, "random_state": 0}

Estimator = type[ChainzRuleEstimator]


@parametrize_with_checks([estimator() for estimator in ESTIMATORS])
def test_scikit_learns_own_checks(estimator: ChainzRuleEstimator, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    """Numbers, a category, gaps in both, and three targets."""
    random = np.random.default_rng(3)
    rows = 200
    age, dose = random.normal(50, 12, rows), random.gamma(2.0, 3.0, rows)
    colour = random.choice(["blue", "green", "red"], rows)
    f = 0.1 * (age - 50) + 0.3 * (dose - 6) + 1.2 * (colour == "red") + random.normal(0, 0.5, rows)
    frame = pd.DataFrame({"age": age.round(1), "dose": dose.round(2), "colour": colour})
    frame.loc[::17, "dose"] = np.nan
    frame.loc[::23, "colour"] = None
    level = np.array(LEVELS)[np.digitize(f, [-0.7, 1.2])]
    return frame.assign(outcome=np.where(f > 0, "sick", "well"), level=level, stay=(20 + 5 * f).round(1))


def of_task(estimator: Estimator, patients: pd.DataFrame, **options: Any) -> tuple[ChainzRuleEstimator, Any, Any]:
    """An estimator for the table, its features and its target."""
    X = patients[["age", "dose", "colour"]]
    if estimator is ChainzRuleOrdinal:
        return ChainzRuleOrdinal(levels=LEVELS, **SMALL | options), X, patients["level"]
    y = patients["outcome" if estimator is ChainzRuleClassifier else "stay"]
    return estimator(**SMALL | options), X, y


def outputs(estimator: ChainzRuleEstimator, X: Any) -> NDArray[Any]:
    found: NDArray[Any] = getattr(estimator, "predict_proba", estimator.predict)(X)  # type: ignore[attr-defined]
    return found


def test_they_are_what_they_say() -> None:
    assert is_classifier(ChainzRuleClassifier())
    assert is_regressor(ChainzRuleRegressor())


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
        ({"colour": "violet"}, "'violet', a level that was not in training"),
        ({"age": np.nan}, "'age' has gaps"),
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
    X = random.normal(size=(2001, 3))
    y = X[:, 0] * X[:, 1]
    monkeypatch.setattr(Fit, "_descend", None)
    assert ChainzRuleRegressor(random_state=0, epochs=20).fit(X, y).score(X, y) > 0.9
    with pytest.raises(TypeError, match="not callable"):
        ChainzRuleRegressor(random_state=0).fit(X[:2000], y[:2000])


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


def test_a_column_that_is_constant_in_a_fold_says_nothing(patients: pd.DataFrame) -> None:
    model, X, y = of_task(ChainzRuleClassifier, patients, epochs=3)
    model.fit(X.assign(ward=3.0, floor="one"), y)
    np.testing.assert_array_equal(
        outputs(model, X.assign(ward=3.0, floor="one")), outputs(model, X.assign(ward=-90.0, floor=None))
    )


@pytest.fixture(scope="module")
def published(
    patients: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[str, ChainzRuleEstimator]]]:
    """A real server on what the three have published, one of them out of a pickle."""
    root = tmp_path_factory.mktemp("published")
    models = {}
    for name, estimator in zip(("outcome", "stay", "level"), ESTIMATORS, strict=True):
        model, X, y = of_task(estimator, patients, noise={"age": 1.5})
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


def test_every_parameter_is_described() -> None:
    documented = str(ChainzRuleEstimator.__doc__)
    for name, estimator in itertools.product(ChainzRuleEstimator().get_params(), ESTIMATORS):
        assert f"        {name}: " in documented
        assert name in estimator().get_params()
