"""What would be served, beside what the library predicts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chainzrule.training.adopt.comparison import Comparison, compare, read_expected, served_difference
from chainzrule.training.adopt.meaning import Meaning
from chainzrule.training.adopt.original import TOLERANCE
from chainzrule.training.errors import AdoptionError

LABELS = ("no", "yes")
CHANCES = np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]], np.float32)
SERVED = {"scores": np.log(CHANCES + 0.5), "probabilities": CHANCES}
VALUES = {"scores": np.array([[10.0], [-400.0], [3.0]], np.float32)}


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


def written(tmp_path: Path, frame: pd.DataFrame) -> Path:
    path = tmp_path / "expected.csv"
    frame.to_csv(path, index=False)
    return path


def test_columns_are_found_by_their_labels(tmp_path: Path) -> None:
    path = written(tmp_path, pd.DataFrame(CHANCES, columns=LABELS)[["yes", "no"]])
    np.testing.assert_array_equal(read_expected(path, LABELS), CHANCES)


def test_labels_may_be_numbers(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_expected(written(tmp_path, pd.DataFrame(CHANCES)), ("0", "1")), CHANCES)


@pytest.mark.parametrize("labels", [LABELS, ()])
def test_one_column_is_the_second_of_two_labels_or_the_value(tmp_path: Path, labels: tuple[str, ...]) -> None:
    path = written(tmp_path, pd.DataFrame({"anything": CHANCES[:, 1]}))
    np.testing.assert_array_equal(read_expected(path, labels), CHANCES[:, 1:])


@pytest.mark.parametrize(("text", "labels", "said"), [
    ("", LABELS, "cannot be read (EmptyDataError); give a CSV file"),
    ("no,yes\nmuch,little\n", LABELS, "must hold numbers only, the predicted probabilities or values"),
    ("no,perhaps\n0.5,0.5\n", LABELS, "must have a column for each label (no, yes); it has no, perhaps"),
    ("a,b\n1,2\n", (), "must have one column, the value; it has a, b"),
    ("a\n-0.5\n2\n", LABELS, "reaches from -0.5 to 2, which are no probabilities of labels; give those, or say --task "
     "regression if the score itself is to be served"),
    ("a\n1\n", ("x", "y", "z"), "must have a column for each label (x, y, z); it has a"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, text: str, labels: tuple[str, ...], said: str) -> None:
    path = tmp_path / "expected.csv"
    path.write_text(text)
    with pytest.raises(AdoptionError) as caught:
        read_expected(path, labels)
    assert str(caught.value) == f"{path}: {said}"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdoptionError, match=r"cannot be read \(FileNotFoundError\); give a CSV file"):
        read_expected(tmp_path / "none.csv", LABELS)


def off_by(difference: float, row: int = 1) -> np.ndarray:
    theirs = CHANCES.astype(np.float64)
    theirs[row, 1] += difference
    return theirs


def test_what_agrees_is_reported_so() -> None:
    found = compare(SERVED, off_by(0.9 * TOLERANCE), TOLERANCE, set(), "theirs.csv")
    assert (found.rows, found.rows_off, found.worst) == (3, 0, 2)
    assert found.difference == pytest.approx(0.9 * TOLERANCE)
    assert compare(SERVED, CHANCES[:, 1:].astype(np.float64), TOLERANCE, set(), "").difference == 0.0


def test_values_are_compared_relative_to_the_largest() -> None:
    found = compare(VALUES, VALUES["scores"] + np.array([[3e-3], [0], [0]]), TOLERANCE, set(), "")
    assert found == Comparison(3, pytest.approx(3e-3 / 400, rel=1e-3), 0, 1)


def test_what_is_off_is_accepted_only_knowingly() -> None:
    found = compare(SERVED, off_by(0.004, row=2), 0.005, set(), "")
    assert (found.rows_off, found.worst) == (1, 3)
    assert found.difference == pytest.approx(0.004)
    with pytest.raises(AdoptionError):
        compare(SERVED, off_by(0.004, row=2), 0.003, set(), "")


MANY = {"scores": np.zeros((8, 2), np.float32), "probabilities": np.full((8, 2), 0.5, np.float32)}


@pytest.mark.parametrize(("operators", "rows", "difference", "said"), [
    (
        {"TreeEnsembleRegressor"}, 1, 0.0021,
        "1 of 8 rows differ by more than 1e-05, by 0.0021 at worst (row 1); these rows lie at a step of the model (a "
        "tree's threshold, a calibration's), on whose other side float32 puts them; --tolerance 0.003 accepts it "
        "knowingly",
    ),
    (
        {"MatMulInteger"}, 8, 0.045,
        "8 of 8 rows differ by more than 1e-05, by 0.045 at worst (row 1); the file computes in 8 bits, the "
        "predictions were made otherwise; --tolerance 0.05 accepts it knowingly",
    ),
    (
        {"MatMul"}, 8, 0.0025,
        "8 of 8 rows differ by more than 1e-05, by 0.0025 at worst (row 1); the file computes in another precision "
        "than the library (float16 or float32 against float64), or a column's numbers are too large for float32; "
        "--tolerance 0.003 accepts it knowingly",
    ),
    (
        {"TreeEnsembleRegressor"}, 8, 0.3,
        "8 of 8 rows differ by more than 1e-05, by 0.3 at worst (row 1); export the very model that made these "
        "predictions, with its preprocessing, in float32; some converters lose the link or the base score of boosters",
    ),
])  # fmt: skip
def test_a_refusal_says_how_many_rows_are_off_by_how_much_and_why(
    operators: set[str], rows: int, difference: float, said: str
) -> None:
    theirs = MANY["probabilities"].astype(np.float64)
    theirs[:rows, 1] += difference
    with pytest.raises(AdoptionError) as caught:
        compare(MANY, theirs, TOLERANCE, operators, "theirs.csv")
    assert str(caught.value) == f"theirs.csv: {said}"


def test_a_gap_is_no_agreement() -> None:
    with pytest.raises(AdoptionError, match="1 of 3 rows differ by more than 1e-05, by nan at worst"):
        compare(VALUES, np.array([[10.0], [np.nan], [3.0]]), 1.0, set(), "")


def test_other_rows_are_refused() -> None:
    with pytest.raises(AdoptionError, match=r"theirs\.csv: has 2 rows, not 3; predict the sample's rows in order"):
        compare(SERVED, CHANCES[:2].astype(np.float64), TOLERANCE, set(), "theirs.csv")
