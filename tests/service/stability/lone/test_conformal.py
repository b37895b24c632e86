"""One row's region is what a batch of the row has."""

import math

import numpy as np
import pytest

from chainzrule.service.stability import conformal
from chainzrule.service.stability.lone.conformal import interval, label_set


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("least", [0.0, 0.05, 0.2, 0.5, 1.0])
def test_a_set_is_the_batchs(least: float, ordered: bool) -> None:
    p = np.random.default_rng(3).dirichlet(np.full(5, 0.5), size=200).astype(np.float32)
    label = np.random.default_rng(4).integers(5, size=200)  # a median need not be the likeliest level
    expected = conformal.members(conformal.label_sets(p, label, np.array([least]), ordered))
    found = [label_set(row, own, least, ordered) for row, own in zip(p.tolist(), label.tolist(), strict=True)]
    assert list(map(list, found)) == expected
    assert any(len(labels) > 1 for labels in expected) == (least < (1.0 if ordered else 0.5))
    assert any(not labels for labels in expected) == (least > 0.25)


@pytest.mark.parametrize("error", [0.0, 1.7, 1e300])
def test_an_interval_is_the_batchs(error: float) -> None:
    value, expected = np.array([1.5, -2.0, 0.0]), np.array([0.1, 0.3, 7.0])
    low, high = conformal.intervals(value, value, expected, np.array([error]))
    for row in range(3):
        found = interval(value[row].item(), expected[row].item(), error)
        assert found == pytest.approx([low[row], high[row]], rel=1e-12)


def test_an_interval_without_end_has_none() -> None:
    assert interval(1.0, 2.0, math.inf) == [None, None]
