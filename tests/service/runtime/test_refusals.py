"""What is said of a row that is refused: where, why, and what to do; never its values."""

from typing import Any

import pytest

from chainzrule.service.artifact.features import CategoricalFeature, Layout
from chainzrule.service.runtime import refusals
from tests.artifacts import categorical, numeric

AGE = numeric("age")
SEX = categorical("sex", "1", "2")
TOWNS = CategoricalFeature(name="town", levels=tuple(f"town {number}" for number in range(64)))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("31", 31.0), (" -3.5e2 ", -350.0), (".5", 0.5), ("1.", 1.0), ("1e999", float("inf"))),
        *((text, None) for text in ("1_0", "nan", "", "0x10", "1,5", "1" * 65)),
    ],
)
def test_numbers_in_texts_are_written_as_in_json(text: str, number: float | None) -> None:
    assert refusals.number_in(text) == number


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("31", "must be a number, not text; write it without quotation marks"),
        ("old", "must be a number, not text"),
        (None, "must be a number, not null: training saw no gaps here"),
        (True, "must be a number, not a boolean"),
    ],
)
def test_no_number(value: Any, said: str) -> None:
    assert refusals.no_number(value, AGE, "x.age").detail == said


def test_the_levels_are_listed_as_far_as_they_fit() -> None:
    assert refusals.no_level("3", SEX, "x.sex").detail == "is not a level the model knows; the levels are 1, 2"
    found = refusals.no_level("Town_63", TOWNS, "x.town").detail
    assert "did you mean town 63?" in found
    assert found.endswith("town 11 and 52 more")


def test_a_feature_under_another_name_is_recognised() -> None:
    error = refusals.missing({"AGE": 1, "sex": 2}, ["age", "sex"], "instances[3]")
    assert (error.place, error.detail) == ("instances[3].age", "is missing; the row has 'AGE': did you mean age?")
    error = refusals.missing({}, ["a", "b", "c"], "x")
    assert error.detail == "is missing; also missing: b, c"


def test_features_that_are_not_known_are_named() -> None:
    row = {"age": 1, "name": "s3cret", "id": 7}
    assert refusals.further(row, ["age"], "sick", "x").detail == (
        "has 'name', 'id', which the model does not know; leave them out"
    )


def test_a_layout_says_how_an_image_is_written() -> None:
    layout = Layout(height=28, width=28)
    assert "an image of 28 x 28 is one flat list" in refusals.wrong_length([[0] * 28] * 28, 784, layout, "x").detail
    assert refusals.wrong_length([0] * 27, 784, layout, "x").detail == "has 27 values where the model takes 784"
    assert refusals.no_row("a", "x").detail == "must be a list of values or an object by feature name"
