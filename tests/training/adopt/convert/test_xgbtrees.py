"""XGBoost's trees, written by its own dump: of a Booster that is written down here, and of real ones if installed."""

import json
from typing import Any

import numpy as np
import onnxruntime
import pytest

from chainzrule.training.adopt.convert.xgbtrees import LINKS, written
from chainzrule.training.errors import AdoptionError

TREE = {
    "nodeid": 0, "split": "age", "split_condition": 30.5, "yes": 1, "no": 2, "missing": 2, "children": [
        {"nodeid": 1, "leaf": -0.5},
        {"nodeid": 2, "split": "job", "split_condition": [0, 2], "yes": 4, "no": 3, "missing": 3, "children": [
            {"nodeid": 3, "leaf": 0.25}, {"nodeid": 4, "leaf": 1.5},
        ]},
    ],
}  # fmt: skip
NAN = float("nan")
ROWS = np.array([[20, 0], [40, 0], [40, 1], [40, 2], [NAN, 2], [40, NAN], [30.5, 1]], np.float32)
MARGINS = np.array([-0.5, 1.5, 0.25, 1.5, 1.5, 0.25, 0.25])


class Dumped:
    """What is asked of a Booster."""

    feature_names = ("age", "job")

    def __init__(self, objective: str, base: str, classes: int = 0, kind: str = "gbtree", trees: int = 1) -> None:
        self.trees = trees
        self.raw: dict[str, Any] = {}
        self.config = {
            "objective": {"name": objective},
            "learner_model_param": {"num_class": str(classes), "base_score": base},
            "gradient_booster": {"name": kind, "gbtree_model_param": {"num_parallel_tree": "1"}},
        }

    def save_config(self) -> str:
        return json.dumps({"learner": self.config})

    def save_raw(self, raw_format: str) -> bytes:
        assert raw_format == "json"
        return json.dumps({"learner": {"gradient_booster": self.raw}}).encode()

    def get_dump(self, dump_format: str) -> list[str]:
        assert dump_format == "json"
        return [json.dumps(TREE)] * self.trees


def run(booster: Any) -> np.ndarray:
    session = onnxruntime.InferenceSession(written(booster, 2).SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": ROWS})[0]


def test_numbers_categories_and_gaps_take_their_branches() -> None:
    np.testing.assert_allclose(run(Dumped("reg:squarederror", "[5E-1]"))[:, 0], MARGINS + 0.5, rtol=1e-6)


def test_the_base_score_is_one_before_the_link() -> None:
    odds = np.exp(MARGINS) * 0.2 / 0.8
    np.testing.assert_allclose(run(Dumped("binary:logistic", "2E-1"))[:, 0], odds / (1 + odds), rtol=1e-5)
    np.testing.assert_allclose(run(Dumped("count:poisson", "3"))[:, 0], 3 * np.exp(MARGINS), rtol=1e-5)


def test_trees_take_turns_with_the_labels() -> None:
    found = run(Dumped("multi:softprob", "[0, 0, 1]", classes=3, trees=4))  # the first label gets a second tree
    margins = np.stack([2 * MARGINS, MARGINS, MARGINS + 1], axis=1)
    odds = np.exp(margins)
    np.testing.assert_allclose(found, odds / odds.sum(axis=1, keepdims=True), rtol=1e-5)


def test_trees_that_were_dropped_count_by_what_is_left_of_their_weights() -> None:
    booster = Dumped("reg:squarederror", "0", kind="dart", trees=3)
    booster.config["gradient_booster"] = {"name": "dart", "gbtree": booster.config["gradient_booster"]}
    booster.raw = {"weight_drop": [1.0, 0.5, 0.25]}
    np.testing.assert_allclose(run(booster)[:, 0], 1.75 * MARGINS, rtol=1e-6)


def test_a_linear_booster_adds_the_first_base_score_to_all() -> None:
    booster = Dumped("multi:softprob", "[1, 0, 0]", classes=3, kind="gblinear")
    booster.raw = {"model": {"weights": [0.1, -0.1, 0.2, 1.0, 2.0, -1.0, 0.5, 0.0, 0.25]}}
    rows = ROWS[np.isfinite(ROWS).all(axis=1)]
    margins = rows @ np.array([[0.1, -0.1, 0.2], [1.0, 2.0, -1.0]]) + [1.5, 1.0, 1.25]
    odds = np.exp(margins - margins.max(axis=1, keepdims=True))
    found = run(booster)[np.isfinite(ROWS).all(axis=1)]
    np.testing.assert_allclose(found, odds / odds.sum(axis=1, keepdims=True), rtol=1e-5)


def test_several_targets_are_answered_at_once() -> None:
    booster = Dumped("reg:squarederror", "[1, 2]", trees=2)
    booster.config["learner_model_param"]["num_target"] = "2"
    np.testing.assert_allclose(run(booster), MARGINS[:, None] + [1, 2], rtol=1e-6)


@pytest.mark.parametrize(("booster", "said"), [
    (Dumped("reg:squarederror", "0", kind="forest"), "the XGBoost booster is 'forest', which is not known here"),
    (Dumped("survival:cox", "0"), "the XGBoost objective 'survival:cox' is not known here"),
])  # fmt: skip
def test_what_is_not_known_is_named(booster: Dumped, said: str) -> None:
    with pytest.raises(AdoptionError, match=said):
        written(booster, 2)


@pytest.mark.parametrize("objective", ["reg:squarederror", *LINKS])
def test_real_boosters_answer_the_same(objective: str) -> None:
    xgboost = pytest.importorskip("xgboost")
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 2)).astype(np.float32)
    y = (x[:, 0] > 0) + (x[:, 1] > 0) if objective.startswith("multi") else x[:, 0] > 0
    given = xgboost.DMatrix(x, y.astype(float) + (objective in ("reg:gamma",)))
    booster = xgboost.train({"objective": objective, "num_class": 3 if objective.startswith("multi") else 0}, given, 5)
    session = onnxruntime.InferenceSession(written(booster, 2).SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"input": x})[0]
    expected = booster.predict(given)
    if objective == "multi:softmax":
        np.testing.assert_array_equal(found.argmax(axis=1), expected)
    else:
        np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", [
    {"booster": "dart", "rate_drop": 0.5}, {"booster": "gblinear"},
    {"booster": "gblinear", "objective": "multi:softprob"},
], ids=["dart", "linear", "linear of three"])  # fmt: skip
def test_real_boosters_of_other_kinds_answer_the_same(settings: dict[str, Any]) -> None:
    xgboost = pytest.importorskip("xgboost")
    x = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    y = (x[:, 0] > 0) + (x[:, 1] > 0.5).astype(int)
    given = xgboost.DMatrix(x, y)
    booster = xgboost.train(settings | ({"num_class": 3} if "objective" in settings else {}), given, 8)
    session = onnxruntime.InferenceSession(written(booster, 2).SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"input": x})[0]
    np.testing.assert_allclose(found, booster.predict(given).reshape(found.shape), rtol=1e-4, atol=1e-6)
