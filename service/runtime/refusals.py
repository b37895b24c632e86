"""Says what is wrong with a row, and what to do about it: each function returns an error for `rows` to raise.

Nothing here runs for rows that are taken, so suggestions may cost something.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from chainzrule.service.artifact.features import CategoricalFeature, DateFormat, Layout, NumericFeature
from chainzrule.service.errors import InvalidInput
from chainzrule.service.naming import hint, listed, nearest, shown
from chainzrule.service.runtime.dates import form_of

NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_LONGEST_NUMBER = 64
_KINDS = {bool: "a boolean", str: "text", list: "a list", dict: "an object", type(None): "null"}


def number_in(text: str) -> float | None:
    """Returns the number that a text is; None where it is none."""
    return float(text) if len(text) <= _LONGEST_NUMBER and NUMBER.fullmatch(text) else None


def no_row(value: Any, place: str) -> InvalidInput:
    """Returns the error of a row that is neither a list nor an object."""
    detail = "must be a list of values or an object by feature name"
    if type(value) in (int, float):
        detail += '; one row by itself is wrapped in a list too: "instances": [[...]]'
    return InvalidInput(detail, place)


def wrong_length(row: Sequence[Any], width: int, layout: Layout | None, place: str) -> InvalidInput:
    """Returns the error of a row that is a list of another length than the model takes."""
    detail = f"has {len(row)} values where the model takes {width}"
    if layout is not None and len(row) in (layout.height, layout.width):
        detail += f": an image of {layout.height} x {layout.width} is one flat list, its lines one after the other"
    elif len(row) == 1 and type(row[0]) in (list, dict):
        detail += "; take one pair of brackets away"
    return InvalidInput(detail, place)


def missing(row: Mapping[str, Any], names: Sequence[str], place: str) -> InvalidInput:
    """Returns the error of a row that is an object and lacks a feature; it may have it under another name."""
    lacking = [name for name in names if name not in row]
    known, first = frozenset(names), lacking[0]
    written = nearest(first, (name for name in row if name not in known))
    strange = len(row) - len(names) + len(lacking)
    detail = "is missing"
    if written is not None:
        detail += f"; the row has {shown([written], 1)}: did you mean {first}?"
    elif strange:
        detail += f"; the row has {_unknown(row, known, strange)}, which the model does not know"
    if len(lacking) > 1:
        detail += f"; also missing: {listed(lacking[1:])}"
    return InvalidInput(detail, f"{place}.{first}")


def further(row: Mapping[str, Any], names: Sequence[str], target: str, place: str) -> InvalidInput:
    """Returns the error of a row that is an object with more features than the model knows."""
    count = len(row) - len(names)
    them = _unknown(row, frozenset(names), count)
    if count == 1 and target in row:
        return InvalidInput(f"has {them}, which is what the model predicts; leave it out", place)
    it = "it" if count == 1 else "them"
    return InvalidInput(f"has {them}, which the model does not know; leave {it} out", place)


def _unknown(row: Mapping[str, Any], known: frozenset[str], count: int) -> str:
    return shown((name for name in row if name not in known), count)


def no_number(value: Any, feature: NumericFeature, place: str) -> InvalidInput:
    """Returns the error of a value that is no number."""
    detail = f"must be a number, not {kind_of(value)}"
    if type(value) is str and number_in(value) is not None:
        detail += "; write it without quotation marks"
    elif value is None:
        detail += ": training saw no gaps here"
    if feature.date is not None:
        detail += f"; it is part of the date {feature.date.column}"
    return InvalidInput(detail, place)


def no_date(value: Any, form: DateFormat, place: str) -> InvalidInput:
    """Returns the error of a value that is no date of the format."""
    what = "is no date" if type(value) in (str, int) else f"must be a date, not {kind_of(value)}"
    return InvalidInput(f"{what}; it is written as {form_of(form)}", place)


def no_level(value: Any, feature: CategoricalFeature, place: str) -> InvalidInput:
    """Returns the error of a value that is no level."""
    levels = f"the levels are {listed(feature.levels)}"
    if value is None:
        return InvalidInput(f"must be one of the levels, not null: training saw no gaps here; {levels}", place)
    if type(value) is str:
        return InvalidInput(f"is not a level the model knows{hint(value, feature.levels)}; {levels}", place)
    if type(value) in (int, float) and all(number_in(level) is not None for level in feature.levels):
        return InvalidInput(f"is not a level the model knows; {levels}", place)
    return InvalidInput(f"must be one of the levels, not {kind_of(value)}; {levels}", place)


def kind_of(value: Any) -> str:
    """Returns what a value is, as JSON calls it."""
    return _KINDS.get(type(value), "a number")
