"""Rows to one float32 matrix; every refusal names its place and repeats nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainzrule.service.artifact.features import (
    CategoricalFeature,
    DateFormat,
    DatePart,
    DateSource,
    NumericFeature,
)
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
        assert error.detail.startswith(f"must be a number, not {kind}")
    assert refusal(TABLE, ["red", *ROW[1:]]).place == "instances[0].age"
    assert refusal(TABLE, [*ROW[:2], value, ROW[3]]).place == "instances[0].dose"


@pytest.mark.parametrize("value", [True, 1, 1.5, ["red"], {"red": 1}])
def test_other_kinds_are_no_levels(value: Any) -> None:
    error = refusal(TABLE, [1.0, value, *ROW[2:]])
    assert error.place == "instances[0].colour"
    assert "the levels are red, green, blue" in error.detail


@pytest.mark.parametrize(
    ("level", "meant"),
    [("s3cret", None), ("", None), ("Red", "red"), ("red ", "red"), ("reD", "red"), ("gren", "green")],
)
def test_unknown_levels_are_refused(level: str, meant: str | None) -> None:
    error = refusal(TABLE, ROW, {**dict(zip(TABLE.names, ROW, strict=True)), "colour": level})
    suggestion = "" if meant is None else f" (did you mean {meant}?)"
    assert error.detail == f"is not a level the model knows{suggestion}; the levels are red, green, blue"
    assert error.place == "instances[1].colour"


NUMBERED = RowEncoder(
    replace(MIXED, features=(categorical("sex", "1", "2"), categorical("old", "false", "true"))).card()
)


@pytest.mark.parametrize(("sex", "old"), [(2, True), (2.0, "true"), ("2", True)])
def test_levels_that_are_numbers_or_booleans_are_taken_as_such(sex: Any, old: Any) -> None:
    assert NUMBERED.encode([[sex, old], {"sex": sex, "old": old}]).tolist() == [[0, 1, 0, 1]] * 2


@pytest.mark.parametrize(
    ("sex", "said"),
    [
        (3, "is not a level the model knows; the levels are 1, 2"),
        (1.5, "is not a level the model knows; the levels are 1, 2"),
        (True, "must be one of the levels, not a boolean; the levels are 1, 2"),
        ("male", "is not a level the model knows; the levels are 1, 2"),
        ([1], "must be one of the levels, not a list; the levels are 1, 2"),
    ],
)
def test_levels_that_are_numbers_are_not_all_numbers(sex: Any, said: str) -> None:
    error = refusal(NUMBERED, [sex, True])
    assert (error.detail, error.place) == (said, "instances[0].sex")


OPEN = CategoricalFeature(name="tree", levels=("oak", "(other)"), other="(other)")


def test_other_levels_are_taken_for_the_level_that_stands_for_them() -> None:
    encoder = RowEncoder(replace(MIXED, features=(OPEN, numeric("age"))).card())
    rows: list[Any] = [["oak", 1], ["yew", 1], ["", 1], [7, 1], [True, 1]]
    assert encoder.encode(rows)[:, :2].argmax(axis=1).tolist() == [0, 1, 1, 1, 1]
    assert refusal(encoder, [None, 1]).place == "instances[0].tree"
    assert refusal(encoder, [["oak"], 1]).place == "instances[0].tree"


STRICT = replace(MIXED, features=(OPEN, numeric("age", fill=40), numeric("body mass")))
LENIENT = RowEncoder(replace(STRICT, changes={"lenient": True}).card())


@pytest.mark.parametrize(
    ("row", "age"),
    [
        ({"tree": "oak", "age": 31, "body mass": 2, "id": "s3cret"}, 31),
        ({"tree": "oak", "body mass": "2"}, 40),
        ({"tree": "oak", "age": "31", "body mass": 2}, 31),
        (["oak", " 3.1e1 ", "+2"], 31),
        (["oak", "", 2], 40),
    ],
)
def test_a_lenient_model_takes_rows_as_people_have_them(row: Any, age: float) -> None:
    assert LENIENT.encode([row]).tolist() == [[1, 0, age, 2]]
    refusal(RowEncoder(STRICT.card()), row)


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"tree": "oak", "Age": 31, "body mass": 2}, "instances[0].age"),  # else it would count as a gap
        ({"tree": "oak", "age": 31, "body_mass": 2}, "instances[0].body mass"),
        ({}, "instances[0].tree"),
        ({"weight": 3}, "instances[0].tree"),
        (["oak", "s3cret", 2], "instances[0].age"),
        (["oak", 1, "1_0"], "instances[0].body mass"),
        (["oak", 1, "9" * 100], "instances[0].body mass"),
        (["oak", 1, None], "instances[0].body mass"),
        (["oak", 1], "instances[0]"),
        (["oak", True, 1], "instances[0].age"),
    ],
)
def test_a_lenient_model_guesses_nothing(row: Any, place: str) -> None:
    assert refusal(LENIENT, row).place == place


def test_gaps_are_refused_where_training_saw_none() -> None:
    assert refusal(TABLE, [1.0, "red", None, "south"]).place == "instances[0].dose"
    error = refusal(TABLE, [1.0, "red", 1.0, None])
    assert error.detail.startswith("must be one of the levels, not null: training saw no gaps here")
    assert error.place == "instances[0].site"


@pytest.mark.parametrize("row", [[], [1.0], [1.0, 2.0, 3.0], [[1.0, 2.0]]])
def test_rows_of_another_length_are_refused(row: list[Any]) -> None:
    error = refusal(PLAIN, [1.0, 2.0], row)
    assert error.place == "instances[1]"
    assert error.detail.startswith(f"has {len(row)} values where the model takes 2")


def test_ragged_rows_never_run_into_each_other() -> None:
    # Four values in two rows, but not two each.
    assert refusal(PLAIN, [1.0], [2.0, 3.0, 4.0]).place == "instances[0]"


@pytest.mark.parametrize("row", [None, True, 1.0, "s3cret", "ab"])
def test_rows_are_lists_or_objects(row: Any) -> None:
    error = refusal(PLAIN, row)
    assert error.detail.startswith("must be a list of values or an object by feature name")
    assert ("wrapped" in error.detail) == (type(row) is float)
    assert error.place == "instances[0]"


def test_missing_and_unknown_features_are_refused() -> None:
    error = refusal(PLAIN, {"height": 1.0})
    assert (error.detail, error.place) == ("is missing", "instances[0].weight")
    error = refusal(PLAIN, {})
    assert (error.detail, error.place) == ("is missing; also missing: weight", "instances[0].height")
    error = refusal(PLAIN, {"height": 1.0, "id": "s3cret"})
    assert error.detail == "is missing; the row has 'id', which the model does not know"
    error = refusal(PLAIN, {"height": 1.0, "Weight": "s3cret", "id": 1})
    assert error.detail == "is missing; the row has 'Weight': did you mean weight?"
    error = refusal(PLAIN, {"height": 1.0, "weight": 2.0, "id": "s3cret"})
    assert (error.detail, error.place) == ("has 'id', which the model does not know; leave it out", "instances[0]")
    error = refusal(PLAIN, {"height": 1.0, "weight": 2.0, "target": "s3cret"})
    assert error.detail == "has 'target', which is what the model predicts; leave it out"


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
    assert error.detail == "must be one of the levels, not a number; the levels are north, south"
    assert error.place == "instances[0].site"


@pytest.mark.parametrize("rows", [[[[0, 1, 2], [3, 4, 5]]], [[0, 1, 2], [3, 4, 5]], np.arange(6.0).reshape(2, 3)])
def test_an_image_is_one_flat_row(rows: Any) -> None:
    with pytest.raises(InvalidInput, match="where the model takes 6: an image of 2 x 3 is one flat list") as caught:
        RowEncoder(IMAGE.card()).encode(rows)
    assert caught.value.place == "instances[0]"


def test_brackets_may_be_too_many() -> None:
    assert refusal(PLAIN, [[1.0, 2.0]]).detail == "has 1 values where the model takes 2; take one pair of brackets away"


def test_a_lenient_row_of_very_many_members_lacks_nothing() -> None:
    row: dict[str, Any] = {"tree": "oak", "age": 31, "body mass": 2} | {f"c{place}": 1 for place in range(5000)}
    assert LENIENT.encode([row]).tolist() == [[1, 0, 31, 2]]
    del row["age"]
    assert refusal(LENIENT, row).place == "instances[0].age"


def dated(part: DatePart, form: DateFormat = "iso", **facts: Any) -> NumericFeature:
    source = DateSource(column="seen", format=form, part=part)
    return numeric(f"seen.{part}", **{"low": 0, "high": 3000, "noise": 0, "date": source, **facts})


SEEN = replace(CLASSIFIER, features=(numeric("age"), dated("year", fill=2020), dated("month", fill=6)))
DATED = RowEncoder(SEEN.card())


@pytest.mark.parametrize(
    ("row", "year", "month"),
    [
        ({"age": 1, "seen": "2021-07-01"}, 2021 + 181 / 365, 7),
        ({"seen": "2021-01-01T00:00", "age": 1}, 2021, 1),
        ({"age": 1, "seen": None}, 2020, 6),
        ({"age": 1, "seen.year": 2021, "seen.month": 3}, 2021, 3),
        ([1, 2021.5, 3], 2021.5, 3),
    ],
)
def test_a_date_stands_for_its_parts(row: Any, year: float, month: float) -> None:
    given = dict(row) if isinstance(row, dict) else list(row)
    np.testing.assert_allclose(DATED.encode([row]), [[1, year, month]], rtol=1e-7)
    assert row == given


@pytest.mark.parametrize(
    ("row", "place", "said"),
    [
        ({"age": 1, "seen": "s3cret"}, "instances[0].seen", "is no date; it is written as 2020-12-31"),
        ({"age": 1, "seen": "31.12.2020"}, "instances[0].seen", "is no date"),
        ({"age": 1, "seen": 2020.5}, "instances[0].seen", "must be a date, not a number"),
        ({"age": 1}, "instances[0].seen", "is missing"),
        ({"age": 1, "seen.year": 2020}, "instances[0].seen.month", "is missing"),
        ({"age": 1, "seen": "2020-12-31", "id": 1}, "instances[0]", "has 'id'"),
        ([1, "2020-12-31", 3], "instances[0].seen.year", "it is part of the date seen"),
    ],
)
def test_a_date_that_is_none_is_refused(row: Any, place: str, said: str) -> None:
    error = refusal(DATED, row)
    assert error.place == place
    assert said in error.detail


def test_dates_are_read_leniently_where_the_card_says_so() -> None:
    lenient = RowEncoder(replace(SEEN, changes={"lenient": True}).card())
    for row in ({"age": 1}, {"age": 1, "seen": " "}, {"age": 1, "seen": None, "id": 2}):
        assert lenient.encode([row]).tolist() == [[1, 2020, 6]]
    assert refusal(lenient, {"age": 1, "seen": "31.12.2020"}).place == "instances[0].seen"
    days = RowEncoder(replace(SEEN, features=(numeric("age"), dated("month", "ymd"))).card())
    assert days.encode([{"age": 1, "seen": 20201231}, {"age": 1, "seen": "20200101"}]).tolist() == [[1, 12], [1, 1]]


def test_only_pixels_are_counted_together() -> None:
    assert RowEncoder(IMAGE.card()).ranges.pooled
    assert not PLAIN.ranges.pooled
    assert not TABLE.ranges.pooled
