"""What one row's scores mean in plain floats: the same as `stability.link` says of it in a batch."""

import math

import numpy as np
import pytest

from chainzrule.service.stability.link import Binary, Classification, Link, Ordinal, margins
from chainzrule.service.stability.link import other_share as other_shares
from chainzrule.service.stability.lone.link import (
    LoneReading,
    expected_level,
    other_share,
    read_levels,
    read_many_labels,
    read_two_labels,
    sigmoid,
)

RANDOM = np.random.default_rng(2)
EDGES = [[0.0, 0.0], [800.0, -800.0], [-800.0, 800.0], [1e-300, 0.0]]
TWO = [*EDGES, *(RANDOM.normal(size=(30, 2)) * 5).tolist()]
MANY = [[0.0] * 3, [800.0, 0.0, -800.0], [-800.0, 0.0, 800.0], *(RANDOM.normal(size=(30, 5)) * 5).tolist()]
LEVELS = [sorted(row, reverse=True) for row in MANY]


def assert_alike(link: Link, found: LoneReading, row: list[float]) -> None:
    expected = link.read(np.array([row]))
    assert found.label == expected.label[0]
    assert found.value == pytest.approx(expected.value[0], rel=1e-12)
    np.testing.assert_allclose(found.gradient, expected.gradient[0], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("row", TWO)
def test_two_labels(row: list[float]) -> None:
    assert_alike(Binary(), read_two_labels(row), row)


@pytest.mark.parametrize("row", MANY)
def test_many_labels(row: list[float]) -> None:
    assert_alike(Classification(), read_many_labels(row), row)
    for label in range(len(row)):
        expected = other_shares(margins(np.array([row]), np.array([label])), axis=1)[0]
        assert other_share(row, label) == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("row", LEVELS)
def test_levels(row: list[float]) -> None:
    assert_alike(Ordinal(), read_levels(row), row)
    assert expected_level(row) == pytest.approx(read_levels(row).value, rel=1e-15)


def test_a_sigmoid_keeps_its_digits_on_both_sides() -> None:
    assert [sigmoid(x) for x in (-800.0, 0.0, 800.0)] == [0.0, 0.5, 1.0]
    for x in (0.1, 3.0, 30.0, 700.0):
        assert sigmoid(-x) == pytest.approx(math.exp(-x) / (1.0 + math.exp(-x)), rel=1e-15)
        assert sigmoid(x) == pytest.approx(1.0 - sigmoid(-x), rel=1e-15)
