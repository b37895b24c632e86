"""Targets that were transformed, and the way back."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler

from chainzrule.training.adopt.convert.transformed import inner_model, with_way_back
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import model

X = np.random.default_rng(0).uniform(0.1, 0.9, size=(60, 1)).astype(np.float32)


def regressor(**parts: Any) -> TransformedTargetRegressor:
    return TransformedTargetRegressor(LinearRegression(), check_inverse=False, **parts)


@pytest.mark.parametrize(("func", "inverse"), [
    (np.log, np.exp), (np.log1p, np.expm1), (np.log2, np.exp2), (np.sqrt, np.square), (np.square, np.sqrt),
    (np.arcsinh, np.sinh), (np.arctanh, np.tanh), (None, None),
], ids=lambda one: getattr(one, "__name__", "none"))  # fmt: skip
def test_the_way_back_is_numpys_own(func: Any, inverse: Any) -> None:
    fitted = regressor(func=func, inverse_func=inverse).fit(X, X[:, 0])
    assert_same(fitted.transformer_)


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler((2, 7))])
def test_scalers_are_undone(scaler: Any) -> None:
    assert_same(regressor(transformer=scaler).fit(X, 5 * X[:, 0]).transformer_)


def assert_same(transformer: Any) -> None:
    graph = model("variable = Identity (features)", "float[batch,1] features", "float[batch,1] variable")
    with_way_back(graph, transformer)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"features": X})[0]
    np.testing.assert_allclose(found, transformer.inverse_transform(X.astype(np.float64)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("parts", [
    {"transformer": QuantileTransformer(n_quantiles=10)}, {"func": np.log10, "inverse_func": lambda value: 10**value},
], ids=["quantiles", "a function of one's own"])  # fmt: skip
def test_another_way_back_is_refused_with_those_that_are_known(parts: dict[str, Any]) -> None:
    graph = model("variable = Identity (features)", "float[batch,1] features", "float[batch,1] variable")
    with pytest.raises(AdoptionError, match=r"is not known here; known are numpy's exp, expm1, .* and the scalers"):
        with_way_back(graph, regressor(**parts).fit(X, X[:, 0]).transformer_)


def test_the_regressor_is_found_inside_pipelines_and_searches() -> None:
    parts = {"func": np.log1p, "inverse_func": np.expm1, "check_inverse": False}
    whole = make_pipeline(StandardScaler(), TransformedTargetRegressor(Ridge(), **parts)).fit(X, X[:, 0])
    inner, transformer = inner_model(whole)
    assert [type(step).__name__ for _, step in inner.steps] == ["StandardScaler", "Ridge"]
    np.testing.assert_allclose(np.expm1(inner.predict(X)), whole.predict(X), rtol=1e-6)
    assert transformer is whole[-1].transformer_
    search = GridSearchCV(TransformedTargetRegressor(Ridge(), **parts), {"regressor__alpha": [1.0]}, cv=2)
    inner, transformer = inner_model(search.fit(X, X[:, 0]))
    assert (type(inner).__name__, transformer) == ("Ridge", search.best_estimator_.transformer_)


def test_a_model_without_such_a_target_stays_as_it_is() -> None:
    plain = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, X[:, 0] > 0.5)
    assert inner_model(plain) == (plain, None)
