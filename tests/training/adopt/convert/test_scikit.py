"""Fitted scikit-learn models, converted beside their own answers."""

from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from chainzrule.training.adopt.convert.converted import Converted
from chainzrule.training.adopt.convert.scikit import from_scikit
from chainzrule.training.errors import AdoptionError

RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame({
    "age": RANDOM.integers(18, 80, 60), "income": RANDOM.lognormal(3, 0.5, 60),
    "job": RANDOM.choice(["cook", "clerk"], 60), "owns": RANDOM.choice([True, False], 60),
})  # fmt: skip
Y = np.where(FRAME["age"] / 40 + (FRAME["job"] == "cook") > 1.5, "yes", "no")
COLUMNS = ColumnTransformer([("n", StandardScaler(), ["age", "income"]), ("c", OneHotEncoder(), ["job"])])


def run(found: Converted, feeds: dict[str, Any]) -> np.ndarray:
    session = onnxruntime.InferenceSession(found.model.SerializeToString(), providers=["CPUExecutionProvider"])
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}
    kinds["tensor(double)"] = np.float64
    given = {
        one.name: np.asarray(feeds[one.name], kinds.get(one.type, object)).reshape(-1, one.shape[1])
        for one in session.get_inputs()
    }
    answer = session.run(None, given)[-1]
    return np.array([list(row.values()) for row in answer]) if isinstance(answer, list) else answer


def test_a_pipeline_of_mixed_columns_has_an_input_for_each() -> None:
    model = make_pipeline(COLUMNS, LogisticRegression()).fit(FRAME.drop(columns="owns"), Y)
    found = next(from_scikit(model, FRAME.drop(columns="owns")))
    assert [one.name for one in found.model.graph.input] == ["age", "income", "job"]
    assert (found.labels, found.raw, found.levels) == (("no", "yes"), False, {})
    np.testing.assert_allclose(found.answers, model.predict_proba(FRAME.drop(columns="owns")))
    np.testing.assert_allclose(run(found, dict(FRAME)), found.answers, atol=1e-5)


def test_a_model_of_a_matrix_has_one_input_in_float32_first_and_float64_at_last() -> None:
    x = FRAME[["age", "income"]]
    model = make_pipeline(StandardScaler(), Ridge()).fit(x.to_numpy(), FRAME["income"])
    conversions = list(from_scikit(model, x))
    assert [found.model.graph.input[0].type.tensor_type.elem_type for found in conversions] == [1, 11]
    for found in conversions:
        assert found.labels == ()
        np.testing.assert_allclose(run(found, {"input": x}), found.answers, rtol=1e-4)


def test_a_booster_inside_is_converted_too() -> None:
    booster = lightgbm.LGBMClassifier(n_estimators=5, min_child_samples=2, verbose=-1, n_jobs=1)
    model = make_pipeline(COLUMNS, booster).fit(FRAME, Y)
    found = next(from_scikit(model, FRAME))
    np.testing.assert_allclose(run(found, dict(FRAME)), found.answers, atol=1e-5)


def test_xgboost_behind_a_scaler_gets_thresholds_that_bear_rounding() -> None:
    xgboost = pytest.importorskip("xgboost")
    model = make_pipeline(COLUMNS, xgboost.XGBRegressor(n_estimators=20, n_jobs=1)).fit(FRAME, FRAME["income"])
    gaps = [
        float(np.abs(run(found, dict(FRAME)) - found.answers).max() / np.abs(found.answers).max())
        for found in list(from_scikit(model, FRAME))[:2]
    ]
    assert min(gaps) < 1e-5


def test_a_target_that_was_transformed_is_transformed_back() -> None:
    model = TransformedTargetRegressor(make_pipeline(COLUMNS, Ridge()), func=np.log1p, inverse_func=np.expm1)
    model.fit(FRAME, FRAME["income"])
    found = next(from_scikit(model, FRAME))
    np.testing.assert_allclose(run(found, dict(FRAME)), found.answers, rtol=1e-5)


def test_decision_values_stand_for_logits_where_that_is_said() -> None:
    for y, columns in ((Y, 1), (np.where(FRAME["age"] > 60, "old", Y), 3)):
        model = make_pipeline(COLUMNS, LinearSVC()).fit(FRAME, y)
        found = next(from_scikit(model, FRAME, decisions=True))
        assert (found.raw, found.answers.shape) == (True, (60, columns))
        np.testing.assert_allclose(run(found, dict(FRAME)), found.answers, atol=1e-5)


@pytest.mark.parametrize(("model", "said"), [
    (RidgeClassifier().fit(FRAME[["age"]], Y), "the model (RidgeClassifier) has no predict_proba; wrap it in"),
    (StandardScaler().fit(FRAME[["age"]]), "StandardScaler predicts nothing; give a fitted classifier or regressor"),
])  # fmt: skip
def test_what_has_no_answer_to_serve_is_refused(model: Any, said: str) -> None:
    with pytest.raises(AdoptionError) as caught:
        next(from_scikit(model, FRAME[["age"]]))
    assert str(caught.value).startswith(said)


def test_what_cannot_be_converted_is_refused_in_the_converters_words() -> None:
    class Doubled(RandomForestRegressor):
        def predict(self, X: Any) -> Any:
            return 2 * super().predict(X)

    model = Doubled(n_estimators=2).fit(FRAME[["age"]], FRAME["income"])
    with pytest.raises(AdoptionError, match=r"skl2onnx cannot convert the model \(MissingShapeCalculator: "):
        next(from_scikit(model, FRAME[["age"]]))
