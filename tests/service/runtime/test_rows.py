"""Rows to one float32 matrix; every refusal names its place and repeats nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainzrule.service.errors import InvalidInput
from chainzrule.service.runtime.rows import RowEncoder
from tests.artifacts import CLASSIFIER, IMAGE, MIXED, categorical, numeric

PLAIN = RowEncoder(CLASSIFIER.card())
TABLE = RowEncoder(MIXED.card())  # age (fill 3.5), colour (fill green), dose, site
ROW = [1.5, "red", 2.0, "south"]


def refusal(encoder: RowEncoder, *rows: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        encoder.encode(list(rows))
    assert "s3cret" not in str(caught.value)
    return caught.value


# Accepted.


def test_columns_are_laid_out_in_the_cards_order() -> None:
    assert TABLE.width == 7
    assert TABLE.names == ("age", "colour", "dose", "site")
    names = ["age", "colour=red", "colour=green", "colour=blue", "dose", "site=north", "site=south"]
    assert TABLE.column_names == names
    assert TABLE.start == {"age": 0, "colour": 1, "dose": 4, "site": 5}
    assert TABLE.ranges.names == ("age", "dose")
    assert TABLE.noise.tolist() == [0.2, 0, 0, 0, 0, 0, 0]


def test_levels_are_encoded_one_hot() -> None:
    encoded = TABLE.encode([ROW, [2, "blue", -1, "north"]])
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[1.5, 1, 0, 0, 2, 0, 1], [2, 0, 0, 1, -1, 1, 0]]
    assert [TABLE.level("colour", row) for row in encoded] == ["red", "blue"]
    assert [TABLE.level("site", row) for row in encoded] == ["south", "north"]


def test_gaps_are_filled_where_training_saw_gaps() -> None:
    assert TABLE.encode([[None, None, 2.0, "south"]]).tolist() == [[3.5, 0, 1, 0, 2, 0, 1]]


TAKES_GAPS = RowEncoder(replace(CLASSIFIER, features=(numeric("a", gaps=True), numeric("b"))).card())


def test_gaps_reach_a_model_that_takes_them_itself() -> None:
    nan = float("nan")
    for rows in ([[None, 2.0]], [{"b": 2.0, "a": None}], np.array([[nan, 2.0]])):
        encoded = TAKES_GAPS.encode(rows)
        assert encoded.dtype == np.float32
        assert np.isnan(encoded[0, 0])
        assert encoded[0, 1] == 2.0
    assert TAKES_GAPS.gaps is not None
    assert TAKES_GAPS.gaps.tolist() == [True, False]
    assert PLAIN.gaps is None


def test_gaps_in_other_columns_and_infinities_are_refused_as_ever() -> None:
    assert refusal(TAKES_GAPS, [1.0, None]).place == "instances[0].b"
    assert refusal(TAKES_GAPS, [1e39, 1.0]).place == "instances[0].a"
    with pytest.raises(InvalidInput) as caught:
        TAKES_GAPS.encode(np.array([[float("nan"), float("nan")]]))
    assert caught.value.place == "instances[0].b"


def test_only_a_category_has_a_level() -> None:
    with pytest.raises(TypeError):
        TABLE.level("age", TABLE.encode([ROW])[0])


def test_an_image_is_taken_row_by_row() -> None:
    encoder = RowEncoder(IMAGE.card())
    assert encoder.names[:4] == ("pixel_0_0", "pixel_0_1", "pixel_0_2", "pixel_1_0")
    assert encoder.encode([[0, 1, 2, 3, 4, 255]]).tolist() == [[0, 1, 2, 3, 4, 255]]


NUMBER = st.one_of(st.integers(-(2**63), 2**64 - 1), st.floats(-3e38, 3e38))


@given(st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=8))
def test_lists_and_objects_agree(rows: list[tuple[float, float]]) -> None:
    lists = [list(row) for row in rows]
    objects = [{"weight": weight, "height": height} for height, weight in rows]
    expected = np.array(lists, dtype=np.float64).astype(np.float32)
    for given_rows in (lists, objects, [lists[0], *objects[1:]], orjson.loads(orjson.dumps(lists))):
        np.testing.assert_array_equal(PLAIN.encode(given_rows), expected)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(-3e38, 3e38)),
            st.sampled_from(["red", "green", "blue", None]),
            NUMBER,
            st.sampled_from(["north", "south"]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_mixed_lists_and_objects_agree(rows: list[tuple[Any, ...]]) -> None:
    lists = [list(row) for row in rows]
    objects = [dict(zip(reversed(TABLE.names), reversed(row), strict=True)) for row in rows]
    encoded = TABLE.encode(lists)
    np.testing.assert_array_equal(encoded, TABLE.encode(objects))
    assert (encoded[:, 1:4].sum(axis=1) == 1).all()
    assert (encoded[:, 5:].sum(axis=1) == 1).all()
    ages = [3.5 if row[0] is None else row[0] for row in rows]
    np.testing.assert_array_equal(encoded[:, 0], np.array(ages, dtype=np.float64).astype(np.float32))


@pytest.mark.parametrize(
    "encoder", [PLAIN, RowEncoder(replace(CLASSIFIER, features=(numeric("a", fill=0), numeric("b"))).card())]
)
@pytest.mark.parametrize("value", [3.4028235e38, -3.4028235e38, 2**64, 2**127, 10**38, 0, 1e-46, 5e-324, -0.0])
def test_what_float32_can_hold_is_taken(encoder: RowEncoder, value: float) -> None:
    encoded = encoder.encode([[1.0, value]])
    assert encoded[0, 1] == np.float32(value)
    assert np.signbit(encoded[0, 1]) == np.signbit(np.float32(value))


@pytest.mark.parametrize("value", [3.4028235e38, -3.4028235e38, 1e20, 0.1])
def test_a_matrix_is_taken_as_its_rows_are(value: float) -> None:
    rows = [[1.0, value], [value, value], [value, 2.0]]  # squares that float64 holds singly, and not summed up
    matrix = PLAIN.encode(np.array(rows))
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, PLAIN.encode(rows))


# Refused.


@pytest.mark.parametrize("encoder", [PLAIN, TABLE])
@pytest.mark.parametrize(
    "value", [3.4028236e38, -3.4028236e38, 1e39, 1.7e308, 2**128, 10**300, float("inf"), float("-inf"), float("nan")]
)
def test_what_float32_cannot_hold_is_refused(encoder: RowEncoder, value: float) -> None:
    good: list[Any] = [1.0, 2.0] if encoder is PLAIN else ROW
    last = encoder.names[-1] if encoder is PLAIN else "dose"
    at = encoder.names.index(last)
    bad = [*good[:at], value, *good[at + 1 :]]
    error = refusal(encoder, good, bad)
    assert error.place == f"instances[1].{last}"
    assert "finite" in error.detail


@pytest.mark.parametrize("value", [3.4028236e38, -3.4028236e38, 1e39, 1e300, np.inf, -np.inf, np.nan])
def test_a_matrix_is_refused_as_its_rows_are(value: float) -> None:
    for at in (0, 1):
        rows = np.ones((3, 2))
        rows[2, at] = value
        with pytest.raises(InvalidInput) as caught:
            PLAIN.encode(rows)
        assert caught.value.place == f"instances[2].{PLAIN.names[at]}"
        assert "finite" in caught.value.detail


def test_a_matrix_of_another_width_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        PLAIN.encode(np.ones((2, 3)))
    assert (caught.value.place, caught.value.detail) == ("instances[0]", "has 3 values where the model takes 2")


def test_whole_numbers_beyond_any_float_are_refused() -> None:
    assert refusal(PLAIN, [1.0, 10**400]).place == "instances"
    assert refusal(TABLE, [10**400, *ROW[1:]]).place == "instances"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "a boolean"),
        (False, "a boolean"),
        ("s3cret", "text"),
        ("1.5", "text"),
        ("", "text"),
        (None, "null"),
        ([1.0], "a list"),
        ([], "a list"),
        ({"s3cret": 1}, "an object"),
    ],
)
def test_other_kinds_are_no_numbers(value: Any, kind: str) -> None:
    for row in ([1.0, value], {"height": 1.0, "weight": value}):
        error = refusal(PLAIN, [1.0, 2.0], row)
        assert error.place == "instances[1].weight"
        assert error.detail == f"must be a number, not {kind}"
    assert refusal(TABLE, ["red", *ROW[1:]]).place == "instances[0].age"
    assert refusal(TABLE, [*ROW[:2], value, ROW[3]]).place == "instances[0].dose"


@pytest.mark.parametrize("value", [True, 1, 1.5, ["red"], {"red": 1}])
def test_other_kinds_are_no_levels(value: Any) -> None:
    error = refusal(TABLE, [1.0, value, *ROW[2:]])
    assert error.place == "instances[0].colour"
    assert error.detail.startswith("must be one of the levels, not a")


@pytest.mark.parametrize("level", ["s3cret", "", "Red", "red ", "reD"])
def test_unknown_levels_are_refused(level: str) -> None:
    error = refusal(TABLE, ROW, {**dict(zip(TABLE.names, ROW, strict=True)), "colour": level})
    assert (error.detail, error.place) == ("is not a level the model knows", "instances[1].colour")


def test_gaps_are_refused_where_training_saw_none() -> None:
    assert refusal(TABLE, [1.0, "red", None, "south"]).place == "instances[0].dose"
    error = refusal(TABLE, [1.0, "red", 1.0, None])
    assert (error.detail, error.place) == ("must be one of the levels, not null", "instances[0].site")


@pytest.mark.parametrize("row", [[], [1.0], [1.0, 2.0, 3.0], [[1.0, 2.0]]])
def test_rows_of_another_length_are_refused(row: list[Any]) -> None:
    error = refusal(PLAIN, [1.0, 2.0], row)
    assert error.place == "instances[1]"
    assert error.detail == f"has {len(row)} values where the model takes 2"


def test_ragged_rows_never_run_into_each_other() -> None:
    # Four values in two rows, but not two each.
    assert refusal(PLAIN, [1.0], [2.0, 3.0, 4.0]).place == "instances[0]"


@pytest.mark.parametrize("row", [None, True, 1.0, "s3cret", "ab"])
def test_rows_are_lists_or_objects(row: Any) -> None:
    error = refusal(PLAIN, row)
    assert (error.detail, error.place) == ("must be a list of values or an object by feature name", "instances[0]")


def test_missing_and_unknown_features_are_refused() -> None:
    error = refusal(PLAIN, {"height": 1.0})
    assert (error.detail, error.place) == ("is missing", "instances[0].weight")
    assert refusal(PLAIN, {}).place == "instances[0].height"
    assert refusal(PLAIN, {"height": 1.0, "s3cret": 2.0}).place == "instances[0].weight"
    error = refusal(PLAIN, {"height": 1.0, "weight": 2.0, "s3cret": 3.0})
    assert error.place == "instances[0]"
    assert "1 features that the model does not know" in error.detail


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3), st.lists, max_leaves=6)
)
def test_anything_else_is_refused_and_never_an_accident(row: Any) -> None:
    error: InvalidInput | None = None
    try:
        encoded = TABLE.encode([row])
    except InvalidInput as refused:
        error = refused
    assert str(error.place).startswith("instances[0]") if error else np.isfinite(encoded).all()


def test_a_level_is_no_number_even_where_all_others_are() -> None:
    encoder = RowEncoder(replace(MIXED, features=(numeric("age"), categorical("site", "north", "south"))).card())
    error = refusal(encoder, [1.0, 2.0])
    assert (error.detail, error.place) == ("must be one of the levels, not a number", "instances[0].site")


def test_only_pixels_are_counted_together() -> None:
    assert RowEncoder(IMAGE.card()).ranges.pooled
    assert not PLAIN.ranges.pooled
    assert not TABLE.ranges.pooled
