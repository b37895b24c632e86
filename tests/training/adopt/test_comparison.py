"""Answers beside the file's own, and beside those that the user expects."""

from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest

from chainzrule.training.adopt.comparison import (
    TOLERANCE,
    compare_expected,
    largest_difference,
    plain_answer,
    require_finite,
    served_difference,
)
from chainzrule.training.adopt.graph import copied
from chainzrule.training.adopt.head import Meaning
from chainzrule.training.adopt.source import Source, read_source
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import model, zipped

X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
LABELS = ("no", "yes")
CHANCES = np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]], np.float32)
SERVED = {"scores": np.log(CHANCES + 0.5), "probabilities": CHANCES}
VALUES = {"scores": np.array([[10.0], [-400.0], [3.0]], np.float32)}


@pytest.mark.parametrize(("found", "expected", "difference"), [
    ([0.25, 0.5], [0.25, 0.375], 0.125),
    ([100.0, 1.0], [100.0, 2.0], 0.01),
    ([1.0, -200.0], [2.0, -200.0], 0.005),
])  # fmt: skip
def test_a_difference_is_relative_to_what_is_large(
    found: list[float], expected: list[float], difference: float
) -> None:
    assert largest_difference(np.array(found), np.array(expected)) == difference


def read(tmp_path: Path, graph: onnx.ModelProto) -> Source:
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    return read_source(tmp_path / "model.onnx")


@pytest.mark.parametrize("kind", ["float", "double"])
def test_the_plain_graph_answers_as_the_file_does(tmp_path: Path, kind: str) -> None:
    source = read(tmp_path, model("y = Exp (x)", f"{kind}[batch,2,3] x", f"{kind}[batch,2,3] y"))
    np.testing.assert_allclose(plain_answer(source, X), np.exp(X), rtol=1e-6)


def test_what_the_file_makes_a_list_of_is_compared_as_it_was_before(tmp_path: Path) -> None:
    found = plain_answer(read(tmp_path, zipped()), X[:, :3])
    assert found.shape == (5, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_a_plain_graph_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    source = read(tmp_path, model("y = Exp (x)", "float[batch,6] x", "float[batch,6] y"))
    other = copied(source.graph)
    next(node for node in other.graph.node if node.op_type == "Exp").op_type = "Sin"
    wrong = Source(source.content, other, 6, (), "", source.original, source.shape)
    with pytest.raises(AdoptionError, match="does not answer as the file does; please report the model"):
        plain_answer(wrong, X)


def test_a_file_that_onnx_runtime_cannot_run_is_refused_in_its_words(tmp_path: Path) -> None:
    # Sound by the checker, which asks for no shapes; the plain graph takes the same columns, and fails on its own rows.
    graph = model("s = Split <num_outputs = 2> (x) y = Neg (s)", "float[batch,6] x", "float[batch,6] y")
    source = read(tmp_path, graph)
    plain = read(tmp_path, model("y = Neg (x)", "float[batch,6] x", "float[batch,6] y"))
    broken = Source(source.content, plain.graph, 6, (), "", source.original, source.shape)
    with pytest.raises(AdoptionError, match=r"ONNX Runtime cannot run the file as it is \(\w+: .+\)"):
        plain_answer(broken, X)


@pytest.mark.parametrize(("kind", "answer", "difference"), [
    ("probabilities", CHANCES + np.float32(0.125), 0.125),
    ("probabilities", CHANCES[:, 1:] - np.float32(0.25), 0.25),  # one column is the second label's
    ("value", SERVED["scores"] + np.float32(0.5), 0.5),
    ("scores", CHANCES + 5, 0.0),
])  # fmt: skip
def test_what_is_served_is_compared_with_what_it_was_made_of(
    kind: Meaning, answer: np.ndarray, difference: float
) -> None:
    found = served_difference(SERVED, answer, kind)
    assert found == pytest.approx(difference / max(1.0, float(np.abs(answer).max())))


def expected(tmp_path: Path, frame: pd.DataFrame) -> Path:
    path = tmp_path / "expected.csv"
    frame.to_csv(path, index=False)
    return path


def test_columns_are_found_by_their_labels(tmp_path: Path) -> None:
    path = expected(tmp_path, pd.DataFrame(CHANCES, columns=LABELS)[["yes", "no"]])
    assert compare_expected(path, LABELS, SERVED) == 0.0


def test_labels_may_be_numbers(tmp_path: Path) -> None:
    assert compare_expected(expected(tmp_path, pd.DataFrame(CHANCES)), ("0", "1"), SERVED) == 0.0


def test_one_column_is_the_second_of_two_labels_or_the_value(tmp_path: Path) -> None:
    path = expected(tmp_path, pd.DataFrame({"anything": CHANCES[:, 1]}))
    assert compare_expected(path, LABELS, SERVED) == 0.0
    path = expected(tmp_path, pd.DataFrame({"value": VALUES["scores"][:, 0]}))
    assert compare_expected(path, (), VALUES) == 0.0


@pytest.mark.parametrize(("off", "accepted"), [(0.9, True), (1.1, False)])
def test_small_differences_are_accepted_and_reported(tmp_path: Path, off: float, accepted: bool) -> None:
    theirs = CHANCES.astype(np.float64)
    theirs[1, 1] += off * TOLERANCE
    path = expected(tmp_path, pd.DataFrame(theirs, columns=LABELS))
    if accepted:
        assert compare_expected(path, LABELS, SERVED) == pytest.approx(off * TOLERANCE)
        return
    with pytest.raises(AdoptionError) as caught:
        compare_expected(path, LABELS, SERVED)
    assert str(caught.value) == (
        f"{path}: the model answers otherwise, by 1.1e-05 at worst (row 2); export the very model that made these "
        "predictions, with its preprocessing, in float32"
    )


def test_values_are_compared_relative_to_the_largest(tmp_path: Path) -> None:
    path = expected(tmp_path, pd.DataFrame({"value": VALUES["scores"][:, 0] + np.array([3e-3, 0, 0])}))
    assert compare_expected(path, (), VALUES) == pytest.approx(3e-3 / 400, rel=1e-3)


def test_a_gap_is_no_agreement(tmp_path: Path) -> None:
    path = expected(tmp_path, pd.DataFrame({"value": [10.0, np.nan, 3.0]}))
    with pytest.raises(AdoptionError, match="answers otherwise, by nan"):
        compare_expected(path, (), VALUES)


@pytest.mark.parametrize(("text", "labels", "said"), [
    ("", LABELS, "cannot be read (EmptyDataError); give a CSV file"),
    ("no,yes\nmuch,little\n", LABELS, "must hold numbers only, the predicted probabilities or values"),
    ("no,perhaps\n0.5,0.5\n", LABELS, "must have a column for each label (no, yes); it has no, perhaps"),
    ("a,b\n1,2\n", (), "must have one column, the value; it has a, b"),
    ("a\n1\n", ("x", "y", "z"), "must have a column for each label (x, y, z); it has a"),
    ("no,yes\n0.25,0.75\n", LABELS, "has 1 rows, not 3; predict the sample's rows in order"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, text: str, labels: tuple[str, ...], said: str) -> None:
    path = tmp_path / "expected.csv"
    path.write_text(text)
    with pytest.raises(AdoptionError) as caught:
        compare_expected(path, labels, SERVED if labels else VALUES)
    assert str(caught.value) == f"{path}: {said}"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdoptionError, match=r"cannot be read \(FileNotFoundError\); give a CSV file"):
        compare_expected(tmp_path / "none.csv", LABELS, SERVED)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_answers_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    require_finite(X, CHANCES)
    bad = CHANCES.copy()
    bad[2, 1] = value
    for answers in ((bad,), (X, bad), (bad, X)):
        with pytest.raises(AdoptionError, match="not all finite; look for outliers"):
            require_finite(*answers)
    source = read(tmp_path, model("y = Exp (x)", "float[batch,6] x", "float[batch,6] y"))
    with pytest.raises(AdoptionError, match="not all finite; look for outliers"):
        plain_answer(source, X * 1e4)
