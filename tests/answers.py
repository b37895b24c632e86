"""Answers, compared."""

from typing import Any

import pytest


def flat(value: Any, place: str = "") -> dict[str, Any]:
    """The leaves of a JSON value by their path."""
    if isinstance(value, dict):
        return {k: v for name, item in value.items() for k, v in flat(item, f"{place}.{name}").items()}
    if isinstance(value, list):
        return {k: v for n, item in enumerate(value) for k, v in flat(item, f"{place}[{n}]").items()}
    return {place: value}


def assert_same(found: Any, expected: Any, rel: float = 1e-4) -> None:
    """Equal, with numbers up to float32 rounding."""
    found, expected = flat(found), flat(expected)
    assert found.keys() == expected.keys()
    for place, value in expected.items():
        if isinstance(value, float):
            assert found[place] == pytest.approx(value, rel=rel, abs=1e-7), place
        else:
            assert found[place] == value, place
