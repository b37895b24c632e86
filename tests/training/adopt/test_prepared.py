"""Models that are ready to be measured: what was assumed of them, and what they were compared with."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import numpy_helper

from chainzrule.service.artifact.features import CategoricalFeature
from chainzrule.training.adopt.convert.converted import Converted
from chainzrule.training.adopt.prepared import Prepared, Wishes, first_prepared, prepare
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import given_of, model

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3)).astype(np.float32)
W = RANDOM.normal(size=(3, 3)).astype(np.float32)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=(X @ W).argmax(axis=1))
LOGITS = model("y = MatMul (x, W)", "float[batch,3] x", "float[batch,3] y", {"W": W})


def softmax(scores: np.ndarray) -> np.ndarray:
    odds = np.exp(scores.astype(np.float64))
    return odds / odds.sum(axis=1, keepdims=True)


def ready(graph: onnx.ModelProto, frame: pd.DataFrame = FRAME, **wishes: Any) -> Prepared:
    return prepare(given_of(graph), frame, Wishes("y", **wishes))


def test_what_was_assumed_is_said() -> None:
    found = ready(LOGITS)
    assert (found.reading.kind, found.labels, found.comparison) == ("scores", ("0", "1", "2"), None)
    assert found.notes == (
        "the answers are taken for logits: the sample's rows are no distributions; the graph does not say; else give "
        "--answers probabilities",
    )
    np.testing.assert_array_equal(found.y, FRAME["y"])
    assert found.difference == 0.0


def test_distances_are_not_served_as_scores() -> None:
    """The nearest of three centres, as k-means is exported: its label is the smallest number's."""
    body = (
        "e = Unsqueeze (x, one) d = Sub (e, C) s = Mul (d, d) y = ReduceSum <keepdims = 0> (s, two) "
        "label = ArgMin <axis = 1, keepdims = 0> (y)"
    )
    constants = {"one": np.array([1]), "two": np.array([2]), "C": W[None]}
    graph = model(body, "float[batch,3] x", "int64[batch] label, float[batch,3] y", constants)
    nearest = ((X[:, None] - W) ** 2).sum(axis=2).argmin(axis=1)
    with pytest.raises(AdoptionError, match=r"the file's own label differs .* in 40 of 40 rows .*distances \(KMeans\)"):
        ready(graph, FRAME.assign(y=nearest))
    assert (
        "the label of the largest number is served" in ready(graph, FRAME.assign(y=nearest), answers="logits").notes[0]
    )


def test_the_users_predictions_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "expected.csv"
    shares = softmax(X @ W)
    pd.DataFrame(shares).to_csv(path, index=False)
    found = ready(LOGITS, expected=path).comparison
    assert found is not None
    assert (found.rows, found.rows_off) == (40, 0)
    shares[3] += [0.004, -0.004, 0]
    pd.DataFrame(shares).to_csv(path, index=False)
    with pytest.raises(AdoptionError, match=r"1 of 40 rows differ by more than 1e-05, by 0\.004 at worst"):
        ready(LOGITS, expected=path)
    found = ready(LOGITS, expected=path, tolerance=0.005).comparison
    assert found is not None
    assert found.rows_off == 1


def test_a_library_is_always_compared_with() -> None:
    labels = ("0", "1", "2")
    good, off = (Converted(LOGITS, softmax(X @ W) + gap, labels) for gap in (0.0, 1e-3))
    given = given_of(LOGITS)
    found = prepare(given, FRAME, Wishes("y"), good)
    assert found.comparison is not None
    assert found.comparison.difference < 1e-5
    with pytest.raises(AdoptionError, match="the library's own answers: 40 of 40 rows differ"):
        prepare(given, FRAME, Wishes("y"), off)
    raw = Converted(LOGITS, (X @ W).astype(np.float64), raw=True)
    assert prepare(given, FRAME, Wishes("y"), raw).comparison is not None


def test_the_first_conversion_that_holds_is_taken_and_the_firsts_refusal_is_told() -> None:
    given, labels = given_of(LOGITS), ("0", "1", "2")
    good, worse, worst = (Converted(LOGITS, softmax(X @ W) + gap, labels) for gap in (0.0, 1e-3, 0.5))
    found = first_prepared([(given, worse), (given, good)], FRAME, Wishes("y"))
    assert found.comparison is not None
    with pytest.raises(AdoptionError, match=r"by 0\.001 at worst"):
        first_prepared([(given, worse), (given, worst)], FRAME, Wishes("y"))


def columns_of_their_own() -> onnx.ModelProto:
    body = (
        'e = ai.onnx.ml.OneHotEncoder <cats_strings = ["cook", "clerk", "pilot"], zeros = 1> (job) f = Reshape (e, s) '
        "n = Cast <to = 1> (age) j = Concat <axis = 1> (n, f) h = MatMul (j, W) y = Softmax (h)"
    )
    graph = model(
        body, "string[batch,1] job, int64[batch,1] age", "float[batch,2] y",
        {"s": np.array([-1, 3]), "W": np.array([[0.1, 0], [1, 0], [0, 1], [0, 0]], np.float32)},
    )  # fmt: skip
    assert numpy_helper.to_array(graph.graph.initializer[0]).shape == (2,)
    return graph


def test_named_columns_and_text_are_taken_as_people_have_them() -> None:
    frame = pd.DataFrame({"age": RANDOM.integers(18, 80, 40), "more": 0.0, "job": ["cook", "clerk"] * 20})
    found = ready(columns_of_their_own(), frame.assign(y=[0, 1] * 20))
    job, age = found.sample.features
    assert isinstance(job, CategoricalFeature)
    assert (job.name, job.levels) == ("job", ("cook", "clerk", "pilot"))
    assert age.name == "age"
    assert found.notes[0] == "columns that the model does not take were left out: more"
    first, other = (frame["job"] == "cook"), (frame["job"] == "clerk")
    logits = np.stack([0.1 * frame["age"] + first, other], axis=1).astype(np.float64)
    np.testing.assert_allclose(found.scores.run(found.sample.x)["probabilities"], softmax(logits), atol=1e-5)


def test_a_librarys_own_categories_arrive_as_its_numbers() -> None:
    frame = pd.DataFrame({"a": X[:, 0], "job": ["cook", "clerk"] * 20, "c": X[:, 2]}).assign(y=FRAME["y"])
    code = np.where(frame["job"] == "cook", 1, 0)
    x = np.stack([X[:, 0], code, X[:, 2]], axis=1)
    converted = Converted(LOGITS, softmax(x @ W), ("0", "1", "2"), levels={"job": ("clerk", "cook")})
    found = prepare(given_of(LOGITS), frame, Wishes("y"), converted)
    assert found.sample.features[1].name == "job"
    assert found.comparison is not None
    assert found.comparison.difference < 1e-5
