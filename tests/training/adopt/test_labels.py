from collections.abc import Sequence

import numpy as np
import pytest

from chainzrule.training.adopt.labels import match_labels
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
