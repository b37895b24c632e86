from collections.abc import Sequence

import numpy as np
import pytest

from chainzrule.training.adopt.labels import compare_labels, match_labels
from chainzrule.training.adopt.sample import Sample
from chainzrule.training.errors import AdoptionError


def rows_of(*labels: str, task: str = "classification", y: Sequence[int] = (0, 1, 0)) -> Sample:
    """A sample of three rows; only labels and target matter here."""
    values = np.array(y, np.int64 if labels else np.float32)
    return Sample(task, "outcome", (), np.zeros((3, 1), np.float32), values, labels, "")  # type: ignore[arg-type]


def test_a_regression_has_none() -> None:
    labels, y = match_labels((), ("a", "b"), rows_of(task="regression", y=(3, 1, 2)), 1)
    assert (labels, y.tolist()) == ((), [3.0, 1.0, 2.0])


@pytest.mark.parametrize(("declared", "named", "expected"), [
    ((), ("yes", "no"), (("yes", "no"), [1, 0, 1])),
    (("yes", "no"), ("0", "1"), (("yes", "no"), [1, 0, 1])),
    ((), (), (("no", "yes"), [0, 1, 0])),
])  # fmt: skip
def test_the_users_go_before_the_files_and_those_before_the_samples(
    declared: Sequence[str], named: Sequence[str], expected: tuple[tuple[str, ...], list[int]]
) -> None:
    labels, y = match_labels(declared, named, rows_of("no", "yes"), 2)
    assert (labels, y.tolist()) == expected


def test_one_column_stands_for_two_labels() -> None:
    assert match_labels((), (), rows_of("no", "yes"), 1)[0] == ("no", "yes")


def test_whole_numbers_that_are_missing_in_the_sample_are_filled_in() -> None:
    labels, y = match_labels((), (), rows_of("1", "3"), 4)
    assert (labels, y.tolist()) == (("0", "1", "2", "3"), [1, 3, 1])


@pytest.mark.parametrize(("declared", "sample", "columns", "said"), [
    (
        ("a", "b"), rows_of("a", "b"), 3,
        "the model has 3 labels, but 2 are known (a, b); name them in the order of its columns with --labels",
    ),
    (
        (), rows_of("1", "4"), 4,
        "the model has 4 labels, but 2 are known (1, 4); name them in the order of its columns with --labels",
    ),
    (
        (), rows_of("1", "2", "3", y=(0, 1, 2)), 1,
        "the model gives one number a row, which stands for two labels, but 3 are known (1, 2, 3); say --task "
        "regression if the target is a quantity, or name both labels with --labels",
    ),
    (
        ("a", "b"), rows_of("a", "c" * 50), 2,
        f"target 'outcome' has the label '{'c' * 40}', which is none of the model's (a, b); write the target as the "
        "model names it, or give --labels",
    ),
])  # fmt: skip
def test_labels_that_do_not_fit_are_refused_with_the_way_out(
    declared: Sequence[str], sample: Sample, columns: int, said: str
) -> None:
    with pytest.raises(AdoptionError) as caught:
        match_labels(declared, (), sample, columns)
    assert str(caught.value) == said


SHARES = np.array([[0.75, 0.25], [0.25, 0.75], [0.50001, 0.49999]], np.float32)


@pytest.mark.parametrize(("own", "labels"), [
    (["no", "yes", "no"], ("no", "yes")),
    (["no", "yes", "yes"], ("no", "yes")),  # the last is a tie but for rounding
    (["0", "1", "0"], ("no", "yes")),  # the file counts its columns
    (["True", "False", "True"], ("true", "false")),
])  # fmt: skip
def test_the_files_own_labels_are_those_of_the_largest_probability(own: list[str], labels: tuple[str, ...]) -> None:
    assert compare_labels(SHARES, labels, np.array(own), None) is None


def test_labels_of_anything_else_are_refused_unless_the_user_says_what_the_numbers_are() -> None:
    own = np.array(["yes", "no", "no"])
    said = "the file's own label differs from that of the largest number in 2 of 3 rows (row 1: 'yes' against 'no')"
    with pytest.raises(AdoptionError) as caught:
        compare_labels(SHARES, ("no", "yes"), own, None)
    assert str(caught.value) == (
        f"{said}: the numbers may be no scores of the labels, such as distances (KMeans), the labels may be in another "
        "order (--labels), or the file may decide by a threshold of its own; say --answers probabilities or logits if "
        "the largest shall decide all the same"
    )
    assert compare_labels(SHARES, ("no", "yes"), own, "probabilities") == (
        f"{said}; the label of the largest number is served, as --answers says what they are"
    )


def test_labels_that_nobody_knows_are_refused() -> None:
    with pytest.raises(AdoptionError, match="differs from that of the largest number in 3 of 3 rows"):
        compare_labels(SHARES, ("no", "yes"), np.array(["maybe"] * 3), None)
