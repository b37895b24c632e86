"""Parses JSON texts into documents whose objects have every member once."""

import re
from typing import Any

import orjson

from chainzrule.service.api.bodies.extent import MAX_DEPTH, Extent, too_deep
from chainzrule.service.api.bodies.steps import run_steps
from chainzrule.service.errors import InvalidInput, MalformedRequest

# What other languages write, with what JSON writes in its place; the text may begin up to two characters earlier.
_MISTAKES = (
    (
        re.compile(r"[^a-z]{0,2}[+-]?(nan|inf(inity)?)\b", re.IGNORECASE),
        ": JSON has no NaN and no infinity; send null for a gap",
    ),
    (re.compile(r"[^a-z]{0,2}(None|True|False)\b"), ": JSON writes null, true and false"),
    (re.compile(r"[^a-z']{0,2}'"), ": JSON takes double quotation marks"),
)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some editors and shells write it before UTF-8, and RFC 8259 lets parsers ignore it


def parse_object(text: bytes, rows: str = "instances") -> dict[str, Any]:
    """Returns the JSON object in a text, whose rows are its member `rows`.

    Raises:
        MalformedRequest: the text is not JSON; the error names the position.
        InvalidInput: the text is no object, has an object with a member twice or a number that is too large for any
            float, or is nested deeper than 32.
    """
    return require_object(parse_json(text.removeprefix(BYTE_ORDER_MARK)), rows)


def require_object(document: Any, rows: str = "instances") -> dict[str, Any]:
    """Returns a document that is an object; raises `InvalidInput` for any other, such as bare rows."""
    if type(document) is dict:
        return document
    wrapped = f'; the list is wrapped in one: {{"{rows}": [...]}}' if type(document) is list else ""
    raise InvalidInput(f"must be a JSON object{wrapped}", "body")


def parse_json(text: bytes, place: str = "body", line: int = 0, column: int = 0) -> Any:
    """Returns the JSON value that is at `place` in the request; raises the errors of `parse_object`.

    Args:
        text: the value's text.
        place: what errors call it.
        line: how many lines of the request come before it.
        column: how many characters of its first line come before it.
    """
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        at = f"(line {line + error.lineno}, column {error.colno + column * (error.lineno == 1)})"
        if "depth limit" in str(error):
            raise too_deep(place) from None
        if "infinity" in str(error):
            raise InvalidInput(f"holds a number that is too large for any float {at}", place) from None
        found = _found(error)
        advice = next((said for mistake, said in _MISTAKES if mistake.match(found)), "")
        # The parser's own message is not passed on, because it may quote the body.
        raise MalformedRequest(f"is not JSON {at}{advice}", place) from None
    # A parser keeps the last of two members with the same name. Each member name and each text has two quotation marks:
    # if the body has more of them, a member is there twice or a text holds an escaped mark, so its members are counted.
    marks = text.count(b'"')
    if marks != 2 * _outer_texts(document) and marks != 2 * _texts(document, MAX_DEPTH, place):
        _refuse_duplicates(document, text, place)
    return document


def _found(error: orjson.JSONDecodeError) -> str:
    """Returns the text at which the parser stopped, or just before: it may have read a sign or a letter already."""
    return error.doc[max(0, error.pos - 2) : error.pos + 10]


def _outer_texts(document: Any) -> int:
    """Counts the member names and texts of the outermost object, which are all where rows are lists of numbers."""
    return len(document) + sum(type(value) is str for value in document.values()) if type(document) is dict else 0


def _texts(value: Any, depth: int, place: str) -> int:
    """Counts a document's member names and texts."""
    kind = type(value)
    if kind is str:
        return 1
    if kind is not list and kind is not dict:
        return 0
    if depth == 0:
        raise too_deep(place)
    if kind is dict:
        return len(value) + sum(_texts(item, depth - 1, place) for item in value.values() if type(item) in _COUNTED)
    return sum(_texts(item, depth - 1, place) for item in value if type(item) in _COUNTED)


_COUNTED = frozenset((str, list, dict))


def _refuse_duplicates(document: Any, text: bytes, place: str) -> None:
    if run_steps(Extent(text, place=place).counting()).members != _members(document):
        raise InvalidInput("has an object with the same member twice", place)


def _members(value: Any) -> int:
    """Counts a document's members."""
    if type(value) is dict:
        return len(value) + sum(_members(item) for item in value.values() if type(item) in _COUNTED)
    return sum(_members(item) for item in value if type(item) in _COUNTED) if type(value) is list else 0
