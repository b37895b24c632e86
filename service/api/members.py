"""Reads single members of a question: each function returns the value, or raises `InvalidInput` with its place."""

import re
from typing import Any

from chainzrule.service.errors import InvalidInput
from chainzrule.service.serving.question import MAX_NOISE_SCALE

_MAX_FLOAT32 = 3.4028234e38
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def read_text(value: Any, place: str) -> str | None:
    """Returns a text, or None where it is left out."""
    if value is not None and type(value) is not str:
        raise InvalidInput("must be text", place)
    return value


def read_flag(value: Any, place: str) -> bool:
    """Returns true or false."""
    if type(value) is not bool:
        raise InvalidInput("must be true or false", place)
    return value


def read_whole(value: Any, place: str, low: int, high: int) -> int:
    """Returns a whole number from `low` to `high`."""
    value = _whole(value)
    if type(value) is not int or not low <= value <= high:
        raise InvalidInput(f"must be a whole number from {low} to {high}", place)
    return value


def read_noise_scale(value: Any, place: str = "noise_scale") -> float:
    """Returns a multiple of the card's noise."""
    if type(value) not in (int, float) or not 0 < value <= MAX_NOISE_SCALE:
        raise InvalidInput(f"must be a number above 0, at most {MAX_NOISE_SCALE:g}", place)
    return float(value)


def read_confidence(value: Any, place: str = "confidence") -> float:
    """Returns the confidence with which sets and intervals are to hold the truth."""
    if type(value) not in (int, float) or not 0 < value < 1:
        raise InvalidInput("must be a number between 0 and 1, for example 0.9", place)
    return float(value)


def read_top(value: Any) -> int | None:
    """Returns how many sensitivities to list; None stands for all."""
    value = _whole(value)
    if value is not None and (type(value) is not int or value < 1):
        raise InvalidInput("must be a whole number of at least 1", "top")
    return value


def is_float32(value: Any) -> bool:
    """Returns whether a value is a number that a 32-bit float can hold."""
    return type(value) in (int, float) and abs(value) <= _MAX_FLOAT32


def _whole(value: Any) -> Any:
    """Returns 2 for 2.0, which JSON Schema calls an integer too: some languages write every number so."""
    return int(value) if type(value) is float and value.is_integer() else value


def parse_number(text: str, place: str) -> float:
    """Returns the number in a text, which is written as in JSON or with a plus sign."""
    if not _NUMBER.fullmatch(text.strip()):
        raise InvalidInput("must be a number", place)
    return float(text)
