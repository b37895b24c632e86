"""One of several targets, of each kind of answer that holds several."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier

from chainzrule.training.adopt.adopt import adopt
from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.which import CHOSEN, choose_target
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import model

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
GIVEN = "float[batch,3] features"
PARTS = {"W": np.arange(18, dtype=np.float32).reshape(2, 3, 3), "V": np.float32(2)}

COLUMNS = model("y = Mul (features, V)", GIVEN, "float[batch,3] y", PARTS)
STACKED = model("y = MatMul (features, W)", GIVEN, "float[2,batch,3] y", PARTS)
SEQUENCE = model(
    "a = Mul (features, V) y = SequenceConstruct (features, a)", GIVEN, "seq(float[batch,3]) y", PARTS
)  # fmt: skip
OPTIONAL = model(
    "a = Mul (features, V) s = SequenceConstruct (features, a) y = Identity (s)", GIVEN, "seq(float[batch,3]) y", PARTS
)  # fmt: skip


@pytest.mark.parametrize(("found", "expected"), [
    (COLUMNS, 2 * X[:, [1]]), (STACKED, X @ PARTS["W"][1]), (SEQUENCE, 2 * X), (OPTIONAL, 2 * X),
], ids=["columns", "stacked", "sequence", "sequence passed on"])  # fmt: skip
def test_the_second_target_is_left(found: onnx.ModelProto, expected: Any) -> None:
    chosen = onnx.ModelProto()
    chosen.CopyFrom(found)
    choose_target(chosen, 2)
    np.testing.assert_allclose(opened(chosen).run(X)[CHOSEN], expected, rtol=1e-6)


@pytest.mark.parametrize(("found", "said"), [
    (COLUMNS, "--which 4: the model answers 3 targets"),
    (STACKED, "--which 4: the model answers 2 targets"),
    (SEQUENCE, "--which 4: the model answers 2 targets"),
    (model("y = Neg (features) z = Tanh (features)", GIVEN, "float[batch,3] y, float[batch,3] z"),
     "--which is of one output, and 2 could be meant; name one with --output"),
], ids=["columns", "stacked", "sequence", "two outputs"])  # fmt: skip
def test_what_there_is_not_is_refused(found: onnx.ModelProto, said: str) -> None:
    with pytest.raises(AdoptionError) as caught:
        choose_target(found, 4)
    assert str(caught.value) == said


FEATURES, TRUTHS = make_multilabel_classification(160, 5, n_classes=3, random_state=0)
FRAME = pd.DataFrame(FEATURES.astype(np.float32), columns=list("abcde"))


@pytest.mark.parametrize("kind", [
    OneVsRestClassifier(LogisticRegression(max_iter=500)), MultiOutputClassifier(LogisticRegression(max_iter=500)),
    RandomForestClassifier(8, max_depth=4, random_state=0),
], ids=["one against the rest", "one by one", "forest"])  # fmt: skip
def test_each_of_several_labels_is_adopted_by_itself(kind: Any, tmp_path: Path) -> None:
    fitted = kind.fit(FRAME[:80].to_numpy(), TRUTHS[:80])
    with pytest.raises(AdoptionError, match="--which N serves the N-th alone"):
        adopt(fitted, FRAME[80:], TRUTHS[80:, 1], name="all", models=tmp_path)
    report = adopt(fitted, FRAME[80:], TRUTHS[80:, 1], name="second", models=tmp_path, which=2)
    assert report.card.labels == ("0", "1")
    assert report.card.adoption is not None
    assert report.card.adoption.expected_difference is not None
    assert report.card.adoption.expected_difference < 1e-5


@pytest.mark.parametrize(
    "kind", [Ridge(), RandomForestRegressor(8, max_depth=4, random_state=0)], ids=["line", "forest"]
)
def test_each_of_several_quantities_is_adopted_by_itself(kind: Any, tmp_path: Path) -> None:
    goals = np.stack([FEATURES[:, 0] + FEATURES[:, 1], np.sqrt(FEATURES[:, 2] + 0.3) * 3], axis=1)
    fitted = kind.fit(FRAME[:80].to_numpy(), goals[:80])
    with pytest.raises(AdoptionError, match="2 numbers a row where the target is one quantity; --which N serves the"):
        adopt(fitted, FRAME[80:], goals[80:, 1], name="both", models=tmp_path)
    report = adopt(fitted, FRAME[80:], goals[80:, 1], name="second", models=tmp_path, which=2)
    assert report.card.quality["r2"] > 0.3
    with pytest.raises(AdoptionError, match="--which counts the model's targets from 1"):
        adopt(fitted, FRAME[80:], goals[80:, 1], name="none", models=tmp_path, which=0)
