"""Ranges that training saw: out of range is listed, never refused."""

from dataclasses import replace

import numpy as np

from chainzrule.service.runtime.rows import RowEncoder
from tests.artifacts import CLASSIFIER, IMAGE, MIXED, numeric

PLAIN, TABLE = RowEncoder(CLASSIFIER.card()), RowEncoder(MIXED.card())
ROW = [1.0, "red", 0.0, "south"]


def test_outside_is_beyond_the_training_range() -> None:
    rows = PLAIN.encode([[-10.0, 10.0], [-10.0001, 10.0001], [0.0, 1e30]])
    assert PLAIN.ranges.outside(rows).tolist() == [[False, False], [True, True], [False, True]]


def test_a_training_rows_own_extreme_is_never_outside() -> None:
    low, high = 0.1, 0.3  # neither is a float32
    encoder = RowEncoder(replace(CLASSIFIER, features=(numeric("a", low=low, high=high), numeric("b"))).card())
    assert encoder.ranges.outside(encoder.encode([[low, 0.0], [high, 0.0]])).tolist() == [
        [False, False],
        [False, False],
    ]


def test_categories_have_no_range() -> None:
    assert TABLE.ranges.outside(TABLE.encode([[11.0, "red", -11.0, "south"], ROW])).tolist() == [
        [True, True],
        [False, False],
    ]


def test_features_are_named_and_counted() -> None:
    outside = TABLE.ranges.outside(TABLE.encode([[11.0, "red", -11.0, "south"], [11.0, "red", 0.0, "south"]]))
    assert [TABLE.ranges.named(row) for row in outside] == [["age", "dose"], ["age"]]
    assert TABLE.ranges.counted(outside) == {"age": 2, "dose": 1}
    assert TABLE.ranges.counted(outside[:, ::-1] & False) == {}


def test_pixels_are_named_but_never_counted_one_by_one() -> None:
    ranges = RowEncoder(IMAGE.card()).ranges
    outside = ranges.outside(np.array([[0, 255, 256, 0, -1, 0]], dtype=np.float32))
    assert ranges.named(outside[0]) == ["pixel_0_2", "pixel_1_1"]
    assert ranges.counted(outside) == {}
