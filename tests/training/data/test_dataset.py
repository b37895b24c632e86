"""Rows and data sets."""

import numpy as np
import pytest

from chainzrule.service.artifact.interface import Task
from chainzrule.training.data.dataset import Dataset, Rows

X, Y = np.arange(8, dtype=np.float32).reshape(4, 2), np.arange(4)


def test_rows_are_taken_with_their_targets_and_weights() -> None:
    weighted = Rows(X, Y, np.array([1.0, 2.0, 3.0, 4.0])).take(np.array([3, 1, 1]))
    assert weighted.x.tolist() == [[6, 7], [2, 3], [2, 3]]
    assert weighted.y.tolist() == [3, 1, 1]
    assert weighted.weights is not None
    assert weighted.weights.tolist() == [4, 2, 2]
    assert len(weighted) == 3
    assert Rows(X, Y).take(np.array([0])).weights is None


@pytest.mark.parametrize(
    ("task", "labels", "scores"), [("classification", "abc", 3), ("ordinal", "abc", 2), ("regression", "", 1)]
)
def test_a_network_answers_with_so_many_scores(task: Task, labels: str, scores: int) -> None:
    assert Dataset(task, "y", None, (), None, tuple(labels), Rows(X, Y), None, "").scores == scores
