"""The hot way of reading a body never accepts, or makes of it, anything that the general way does not."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainzrule.service.api.bodies.document import parse_object
from chainzrule.service.api.bodies.matrix import MatrixParser
from chainzrule.service.errors import InvalidInput, MalformedRequest

GENERAL = {
    "object rows": b'{"instances": [{"a": 1}]}',
    "object in a row": b'{"instances": [[1, {"a": 2}]]}',
    "text in a row": b'{"instances": [[1, "2"]]}',
    "boolean": b'{"instances": [[1, true]]}',
    "null": b'{"instances": [[1, null]]}',
    "ragged": b'{"instances": [[1, 2], [3]]}',
    "nested": b'{"instances": [[1, [2]], [3, 4]]}',
    "nested evenly": b'{"instances": [[[1, 2]], [[3, 4]]]}',
    "no rows": b'{"instances": []}',
    "no instances": b'{"model": "a"}',
    "not a list": b'{"instances": 5}',
    "twice": b'{"instances": [[1]], "instances": [[2]]}',
    "another member twice": b'{"model": "a", "instances": [[1]], "model": "b"}',
    "byte order mark": b'\xef\xbb\xbf{"instances": [[1]]}',
    "an array": b"[[1]]",
    "nothing": b"",
    "cut short": b'{"instances": [[1]]',
    "something behind": b'{"instances": [[1]]} 2',
    "NaN": b'{"instances": [[NaN]]}',
    "too large for a float": b'{"instances": [[1e400]]}',
    "bad UTF-8": b'{"model": "\xff", "instances": [[1]]}',
    "a member with members": b'{"instances": [[1]], "observe": {"a": 1}}',
    "a member with items": b'{"instances": [[1]], "include": ["layers"]}',
    "object rows with items": b'{"instances": [{"a": [1]}, {"b": [2]}]}',
    "objects in rows with an item": b'{"instances": [[{"a": 1}], {"b": [2]}]}',
    "an object of rows": b'{"instances": {"a": [[1]], "b": [2]}}',
    "an empty object in a row": b'{"instances": [[1, {}]]}',
    "rows of text": b'{"instances": ["ab", [[1], 2]]}',
}


@pytest.mark.parametrize("text", GENERAL.values(), ids=GENERAL.keys())
def test_all_but_plain_rows_take_the_general_way(text: bytes) -> None:
    parser = MatrixParser()
    assert parser.parse(text) is None
    assert parser.parse(b'{"instances": [[1, 2]]}') is not None  # and the parser can be used again


def test_an_escaped_mark_in_another_member_is_read_alike() -> None:
    text = b'{"instances": [[1]], "model": "a\\"b]"}'
    found = MatrixParser().parse(text)
    assert found is not None
    assert found["model"] == parse_object(text)["model"] == 'a"b]'


NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**64 - 1), st.just(-0.0))
ROWS = st.integers(1, 5).flatmap(lambda width: st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=1))


@given(ROWS, st.text(max_size=8), st.booleans())
def test_plain_rows_are_read_as_the_general_way_reads_them(rows: list[list[float]], model: str, observe: bool) -> None:
    text = json.dumps({"model": model, "instances": rows, "observe": observe}, ensure_ascii=False)
    try:
        body = text.encode()
    except UnicodeEncodeError:
        return
    found = MatrixParser().parse(body)
    if found is None:  # an escape, or a bracket in a text
        assert json.dumps(model, ensure_ascii=False) != f'"{model}"' or set(model) & set("[{")
        return
    expected = parse_object(body)
    np.testing.assert_array_equal(found.pop("instances"), np.array(expected.pop("instances"), dtype=np.float64))
    assert found == expected


@given(st.binary(max_size=60))
def test_what_the_general_way_refuses_the_hot_way_does_not_take(noise: bytes) -> None:
    text = b'{"instances": [[1, 2]' + noise
    if MatrixParser().parse(text) is None:
        return
    try:
        parse_object(text)
    except (InvalidInput, MalformedRequest) as error:
        raise AssertionError("the hot way took what the general way refuses") from error


VALUES = st.recursive(
    st.one_of(NUMBERS, st.booleans(), st.none(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=3)),
    max_leaves=8,
)


@given(VALUES, st.text(max_size=3))
def test_whatever_is_not_plain_rows_goes_the_general_way(instances: object, model: str) -> None:
    plain = (
        isinstance(instances, list)
        and all(isinstance(row, list) for row in instances)
        and len({len(row) for row in instances}) == 1
        and all(type(value) in (int, float) for row in instances for value in row)
    )
    found = MatrixParser().parse(json.dumps({"model": model, "instances": instances}).encode())
    assert found is None or plain
    if found is not None:
        assert found["instances"].tolist() == [[float(value) for value in row] for row in instances]  # type: ignore[attr-defined]
