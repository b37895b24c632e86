"""A lone row's ranges: the same as a batch's, whichever way they are compared."""

from dataclasses import replace

import pytest

from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.stability.lone.ranges import LoneRanges
from tests.artifacts import CLASSIFIER, MIXED, numeric

ROW = [1.0, "red", 0.0, "south"]


def test_a_lone_row_is_compared_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[-10.0, 10.0], [-10.0001, 0.0], [0.0, 10.0001], [0.1, 0.3], [1e30, -1e30]]
    toy = replace(CLASSIFIER, features=(numeric("a", low=0.1, high=0.3), numeric("b")))
    for most in (64, 1):  # columns that are compared one by one
        monkeypatch.setattr("chainzrule.service.stability.lone.ranges.FEW_COLUMNS", most)
        for encoder in (RowEncoder(toy.card()), RowEncoder(CLASSIFIER.card())):
            expected = encoder.ranges.outside(encoder.encode(rows)).any(axis=1).tolist()
            assert {True, False} == set(expected)
            alone = LoneRanges(encoder.ranges)
            assert [alone.is_outside(encoder.encode([row])) for row in rows] == expected
    encoder = RowEncoder(MIXED.card())
    alone = LoneRanges(encoder.ranges)
    assert [alone.is_outside(encoder.encode([row])) for row in ([11.0, "red", 0.0, "south"], ROW)] == [True, False]
