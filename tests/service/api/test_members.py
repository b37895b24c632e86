"""Members of questions: what is taken, and where the refusal points."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chainzrule.service.api.members import (
    parse_number,
    read_confidence,
    read_flag,
    read_noise_scale,
    read_text,
    read_top,
    read_whole,
)
from chainzrule.service.errors import InvalidInput

TEXT, FLAG = partial(read_text, place="here"), partial(read_flag, place="here")
WHOLE, SCALE = partial(read_whole, place="here", low=-2, high=7), partial(read_noise_scale, place="here")
NUMBER = partial(parse_number, place="here")
CONFIDENCE = partial(read_confidence, place="here")


@pytest.mark.parametrize(
    ("read", "taken"),
    [
        (TEXT, ["", "a", None]),
        (FLAG, [True, False]),
        (WHOLE, [-2, 0, 7]),
        (SCALE, [1e-300, 0.5, 1, 100, 100.0]),
        (CONFIDENCE, [1e-300, 0.5, 0.9, 1 - 2**-53]),
        (read_top, [None, 1, 2**40]),
    ],
    ids=["text", "flag", "whole", "scale", "confidence", "top"],
)
def test_what_is_taken_comes_back(read: Callable[[Any], Any], taken: list[Any]) -> None:
    assert [read(value) for value in taken] == taken


@pytest.mark.parametrize(
    ("read", "refused", "said"),
    [
        (TEXT, [1, True, [], ["a"], {}], "must be text"),
        (FLAG, [0, 1, "true", None, []], "must be true or false"),
        (WHOLE, [-3, 8, 1.5, 8.0, 1e300, float("inf"), True, "1", None], "must be a whole number from -2 to 7"),
        (SCALE, [0, -1, 100.1, 101, True, "1", None, float("nan"), float("inf")], "above 0, at most 100"),
        (
            CONFIDENCE,
            [0, 1, -0.1, 1.1, 90, True, "0.9", None, [0.9], float("nan"), float("inf")],
            "must be a number between 0 and 1, for example 0.9",
        ),
        (
            NUMBER,
            ["", " ", "x", "nan", "inf", "1_0", "0x1", "1e", ".", "+", "1,5", "\u00b2", "1 2"],
            "must be a number",
        ),
    ],
    ids=["text", "flag", "whole", "scale", "confidence", "number"],
)
def test_what_is_refused_is_named_by_its_place(read: Callable[[Any], Any], refused: list[Any], said: str) -> None:
    for value in refused:
        with pytest.raises(InvalidInput, match=said) as caught:
            read(value)
        assert caught.value.place == "here"


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert [WHOLE(value) for value in (-2.0, 7.0)] == [-2, 7]
    assert type(WHOLE(7.0)) is type(read_top(3.0)) is int


def test_a_top_below_one_is_refused() -> None:
    for value in (0, -1, 1.5, True, "1"):
        with pytest.raises(InvalidInput, match="at least 1") as caught:
            read_top(value)
        assert caught.value.place == "top"


def test_a_noise_scale_is_a_float_at_its_usual_place() -> None:
    assert type(read_noise_scale(1)) is float
    with pytest.raises(InvalidInput) as caught:
        read_noise_scale(0)
    assert caught.value.place == "noise_scale"


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1.0), ("-1.5", -1.5), ("+2.", 2.0), (".5", 0.5), (" 3e2 ", 300.0), ("1E-3", 0.001), ("1e999", float("inf"))],
)
def test_numbers_are_read_from_text(text: str, number: float) -> None:
    assert NUMBER(text) == number


def test_a_confidence_has_its_usual_place() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_confidence(1)
    assert caught.value.place == "confidence"
