"""CatBoost's trees, from a description that is written down here, and from real models where it is installed."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest

from chainzrule.training.adopt.convert.cattables import Categories
from chainzrule.training.adopt.convert.cattrees import converted_trees, written
from chainzrule.training.errors import AdoptionError

NAN = float("nan")
JOBS = (7, 0x90000000)
NUMBERS = [
    {"feature_index": 0, "flat_feature_index": 0, "borders": [1.0, 2.0], "nan_value_treatment": "AsTrue"},
    {"feature_index": 1, "flat_feature_index": 2, "borders": [0.0], "nan_value_treatment": "AsFalse"},
]
MODEL: dict[str, Any] = {
    "features_info": {
        "float_features": NUMBERS,
        "categorical_features": [{"feature_index": 0, "flat_feature_index": 1, "values": [JOBS[1] - (1 << 32)]}],
        "ctrs": None,
    },
    "scale_and_bias": [2, [0.5]],
    # Bit 0: the first number is above 2. Bit 1: the job is the second. Bit 2: the second number is above 0.
    "oblivious_trees": [{
        "splits": [{"split_index": 1}, {"split_index": 3}, {"split_index": 2}],
        "leaf_values": [0, 1, 2, 3, 4, 5, 6, 7],
    }, {"splits": None, "leaf_values": [10]}],
}  # fmt: skip
ROWS = np.array([[2, 0, 0], [2.5, 0, 0], [2, 1, 0], [2, 0, 0.5], [NAN, 1, NAN], [2.5, NAN, 1]], np.float32)
LEAVES = np.array([0, 1, 2, 4, 3, 5])


def run(model: onnx.ModelProto, rows: Any) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": np.asarray(rows, np.float32)})[0]


@pytest.mark.parametrize("link", [None, "Sigmoid"])
def test_symmetric_trees_number_their_leaves_by_bits(link: str | None) -> None:
    found = run(written(MODEL, Categories({1: JOBS}), 3, link), ROWS)[:, 0]
    margins = 2.0 * (LEAVES + 10) + 0.5
    np.testing.assert_allclose(found, margins if link is None else 1 / (1 + np.exp(-margins)), rtol=1e-6)


def test_other_trees_branch_to_the_left_up_to_the_border() -> None:
    inner = {"split": {"split_index": 3}, "left": {"value": [1, -1]}, "right": {"value": [2, -2]}}
    tree = {"split": {"split_index": 0}, "left": inner, "right": {"value": [5, -5]}}
    model = {name: part for name, part in MODEL.items() if name != "oblivious_trees"}
    model |= {"trees": [tree], "scale_and_bias": [1, [0.25, 0.5]]}
    rows = [[1, 0, 0], [1, 1, 0], [1.5, 0, 0], [NAN, 0, 0]]
    values = np.array([1, 2, 5, 5])
    expected = np.stack([values + 0.25, 0.5 - values], axis=1)
    np.testing.assert_allclose(run(written(model, Categories({1: JOBS}), 3, None), rows), expected, rtol=1e-6)


RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame({
    "age": RANDOM.normal(size=300), "job": RANDOM.choice(["cook", "clerk", "driver", "née"], 300),
    "floor": RANDOM.integers(0, 3, 300), "town": RANDOM.choice(list("abcdefghij"), 300),
    "owns": RANDOM.choice([True, False], 300),
})  # fmt: skip
FRAME["age"] = FRAME["age"].mask(RANDOM.random(300) < 0.1)
VALUE = FRAME["age"].fillna(0) + (FRAME["job"] == "cook") * FRAME["owns"] + (FRAME["floor"] == 1)
NAMES = ["job", "floor", "town", "owns"]


@pytest.mark.parametrize("settings", [
    {}, {"one_hot_max_size": 4, "nan_mode": "Max"}, {"loss_function": "MultiClass"}, {"grow_policy": "Lossguide"},
    {"loss_function": "Poisson", "simple_ctr": ["Buckets:TargetBorderCount=3", "BinarizedTargetMeanValue"]},
    {"loss_function": "Logloss", "combinations_ctr": ["Counter", "Borders"], "max_ctr_complexity": 3},
], ids=["plain", "one-hot", "labels", "not symmetric", "counts", "combinations"])  # fmt: skip
def test_real_models_of_categories_answer_the_same(settings: dict[str, Any]) -> None:
    catboost = pytest.importorskip("catboost")
    labels = settings.get("loss_function") in ("MultiClass", "Logloss")
    kind = catboost.CatBoostClassifier if labels else catboost.CatBoostRegressor
    goal = np.exp(VALUE) if settings.get("loss_function") == "Poisson" else VALUE
    if labels:
        goal = pd.cut(VALUE, [-9, 0.5, 9] if settings["loss_function"] == "Logloss" else [-9, 0, 1, 9], labels=False)
    model = kind(iterations=40, verbose=False, allow_writing_files=False, cat_features=NAMES, **settings)
    model.fit(FRAME[:150], goal[:150])
    found, levels = converted_trees(model, FRAME)
    assert set(levels) == set(NAMES)
    assert set(levels["floor"]) == {"0", "1", "2"}
    assert set(levels["owns"]) == {"false", "true"}
    text = FRAME.astype({"floor": str, "owns": str}).assign(owns=FRAME["owns"].map({True: "true", False: "false"}))
    numbered = FRAME.assign(**{name: [levels[name].index(level) for level in text[name]] for name in NAMES})
    answer = run(found, numbered)
    expected = (model.predict_proba if labels else model.predict)(FRAME).reshape(300, -1)
    np.testing.assert_allclose(answer, expected[:, -answer.shape[1] :], rtol=1e-5, atol=1e-6)


def test_a_level_that_training_had_not_counts_as_unknown() -> None:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostRegressor(iterations=20, verbose=False, allow_writing_files=False, cat_features=NAMES)
    model.fit(FRAME, VALUE)
    other = FRAME[:5].assign(town="elsewhere", job=["cook", "none", "cook", "clerk", "none"])
    found, levels = converted_trees(model, other)
    text = other.assign(floor=other["floor"].astype(str), owns=other["owns"].map({True: "true", False: "false"}))
    numbered = other.assign(**{name: [levels[name].index(level) for level in text[name]] for name in NAMES})
    np.testing.assert_allclose(run(found, numbered)[:, 0], model.predict(other), rtol=1e-5, atol=1e-6)


def test_free_text_is_refused() -> None:
    class Reader:
        """What is asked of a model that reads texts."""

        def get_text_feature_indices(self) -> list[int]:
            return [0]

    with pytest.raises(AdoptionError, match="reads free text or vectors, which cannot be adopted"):
        converted_trees(Reader(), FRAME)
