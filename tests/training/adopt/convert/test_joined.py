"""Pipelines that end in CatBoost, where it is installed."""

from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from chainzrule.training.adopt.convert.joined import ends_in_catboost
from chainzrule.training.adopt.convert.scikit import from_scikit

RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame({
    "age": RANDOM.normal(50, 12, 120).astype(np.float32), "job": RANDOM.choice(["cook", "clerk", "driver"], 120),
})  # fmt: skip
FRAME["age"] = FRAME["age"].mask(RANDOM.random(120) < 0.1)
COLUMNS = ColumnTransformer([
    ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]), ("texts", OneHotEncoder(), ["job"]),
])  # fmt: skip


def test_other_pipelines_are_left_to_their_converter() -> None:
    assert not ends_in_catboost(make_pipeline(StandardScaler(), LogisticRegression()))
    assert not ends_in_catboost(LogisticRegression())


@pytest.mark.parametrize("labels", [2, 3])
def test_its_steps_and_trees_answer_as_the_pipeline_does(labels: int) -> None:
    catboost = pytest.importorskip("catboost")
    y = np.digitize(FRAME["age"].fillna(50) + 10 * (FRAME["job"] == "cook"), [50, 60][: labels - 1])
    last: Any = catboost.CatBoostClassifier(iterations=15, verbose=False, allow_writing_files=False)
    model = make_pipeline(COLUMNS, last).fit(FRAME, y)
    found = next(from_scikit(model, FRAME))
    session = onnxruntime.InferenceSession(found.model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"age": FRAME[["age"]].to_numpy(np.float32), "job": FRAME[["job"]].to_numpy(object)}
    answer = session.run(None, feeds)[0]
    np.testing.assert_allclose(answer, model.predict_proba(FRAME)[:, -answer.shape[1] :], atol=1e-5)
    assert found.answers.shape == (120, labels)
