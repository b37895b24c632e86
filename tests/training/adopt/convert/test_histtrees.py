"""Histogram boosting over its own columns of categories, held against scikit-learn."""

from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from chainzrule.training.adopt.convert.histtrees import reads_categories, with_categories

RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame({
    "age": RANDOM.normal(50, 12, 300).round(1), "job": RANDOM.choice(["cook", "clerk", "driver", "none"], 300),
    "dose": RANDOM.gamma(2, 3, 300), "town": RANDOM.choice(list("abcdefghij"), 300),
}).astype({"job": "category", "town": "category"})  # fmt: skip
FRAME = FRAME.mask(RANDOM.random(FRAME.shape) < 0.05)
F = FRAME["age"].fillna(50) / 10 + 2 * FRAME["job"].isin(["cook", "none"]) + 2 * FRAME["town"].isin(list("acegi"))
QUICK: dict[str, Any] = {"categorical_features": "from_dtype", "max_iter": 12, "min_samples_leaf": 4}


@pytest.mark.parametrize(("kind", "y"), [
    (HistGradientBoostingRegressor(**QUICK), F),
    (HistGradientBoostingRegressor(loss="poisson", **QUICK), np.exp(F / 3)),
    (HistGradientBoostingClassifier(**QUICK), F > 7),
    (HistGradientBoostingClassifier(**QUICK), np.digitize(F, [6, 8])),
], ids=["value", "count", "two labels", "three labels"])  # fmt: skip
def test_levels_gaps_and_numbers_take_their_branches(kind: Any, y: Any) -> None:
    rows = FRAME.astype({"age": np.float32, "dose": np.float32})
    model = kind.fit(rows, y)
    assert reads_categories(model)
    found, levels = with_categories(model, rows)
    assert levels == {"job": ("clerk", "cook", "driver", "none"), "town": tuple("abcdefghij")}
    codes = {
        name: [np.nan if pd.isna(level) else known.index(level) for level in rows[name]]
        for name, known in levels.items()
    }
    session = onnxruntime.InferenceSession(found.SerializeToString(), providers=["CPUExecutionProvider"])
    answer = session.run(None, {"input": rows.assign(**codes).to_numpy(np.float32)})[0]
    expected = (model.predict_proba if hasattr(model, "classes_") else model.predict)(rows).reshape(300, -1)
    np.testing.assert_allclose(answer, expected[:, -answer.shape[1] :], rtol=1e-5, atol=1e-6)


def test_a_model_of_numbers_alone_is_left_to_its_converter() -> None:
    assert not reads_categories(HistGradientBoostingRegressor(max_iter=2).fit(FRAME[["age", "dose"]], F))
