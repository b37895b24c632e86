"""What one row's scores mean in plain floats: what the links say of it in a batch."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability import link as batched
from chainzrule.service.stability.link import link_of, margins
from chainzrule.service.stability.lone.link import (
    LoneReading,
    Row,
    expected_level,
    other_share,
    read_levels,
    read_many_labels,
    read_two_labels,
    sigmoid,
)

Read = Callable[[Row], LoneReading]
LINKS: tuple[tuple[Task, int, Read], ...] = (
    ("classification", 2, read_two_labels),
    ("classification", 5, read_many_labels),
    ("ordinal", 4, read_levels),
)
links = pytest.mark.parametrize(("task", "S", "read"), LINKS)


def scores_of(task: Task, S: int, rows: int = 40) -> NDArray[np.float64]:
    scores = np.random.default_rng(S).normal(size=(rows, S)) * 3
    return -np.sort(-scores, axis=1) if task == "ordinal" else scores


@links
def test_a_lone_row_is_read_alike(task: Task, S: int, read: Read) -> None:
    s = scores_of(task, S)
    expected = link_of(task, S).read(s)
    for row, scores in enumerate(s.tolist()):
        found = read(scores)
        assert found.label == expected.label[row]
        assert found.value == pytest.approx(expected.value[row], rel=1e-12)
        np.testing.assert_allclose(found.gradient, expected.gradient[row], rtol=1e-12)


@links
def test_a_tie_and_a_threshold_are_read_alike(task: Task, S: int, read: Read) -> None:
    for scores in ([0.0] * S, [-1.0, *[0.0] * (S - 1)], [1.0, *[0.0] * (S - 1)]):
        assert read(scores).label == link_of(task, S).label(np.array([scores]))[0]


@links
@pytest.mark.parametrize("extreme", [1e3, 3e38])
def test_extreme_scores_are_read_alike(task: Task, S: int, read: Read, extreme: float) -> None:
    for row in (np.sign(scores_of(task, S, 5)) * extreme).tolist():
        found, expected = read(row), link_of(task, S).read(np.array([row]))
        assert found.value == pytest.approx(expected.value[0], rel=1e-12)
        np.testing.assert_allclose(found.gradient, expected.gradient[0], rtol=1e-12)


def test_the_other_labels_share_is_a_batchs() -> None:
    s = scores_of("classification", 5)
    for label in range(5):  # also of labels that do not lead
        expected = batched.other_share(margins(s, np.full(len(s), label)), axis=1)
        np.testing.assert_allclose([other_share(row, label) for row in s.tolist()], expected, rtol=1e-12)


def test_the_other_labels_share_keeps_its_digits_where_it_is_tiny() -> None:
    assert other_share([50.0, 0.0, -9.0], 0) == pytest.approx(math.exp(-50) + math.exp(-59), rel=1e-12)


def test_the_expected_level_is_the_links() -> None:
    s = scores_of("ordinal", 4)
    expected = link_of("ordinal", 4).output(s, np.zeros(len(s), np.int64))
    np.testing.assert_allclose([expected_level(row) for row in s.tolist()], expected, rtol=1e-12)


def test_the_sigmoid_keeps_its_digits_and_does_not_overflow() -> None:
    for x in (-700.0, -30.0, -1.0, 0.0, 1.0, 30.0):
        assert sigmoid(x) == pytest.approx(math.exp(x) / (1 + math.exp(x)), rel=1e-12)
    assert (sigmoid(-1e5), sigmoid(1e5)) == (0.0, 1.0)
