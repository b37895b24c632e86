"""JSON documents: every member once, whatever its texts hold."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainzrule.service.api.bodies.document import BYTE_ORDER_MARK, parse_json, parse_object, require_object
from chainzrule.service.errors import InvalidInput, MalformedRequest
from tests.service.api.bodies.test_extent import DOCUMENTS


@given(DOCUMENTS)
def test_documents_are_read_as_the_standard_library_reads_them(document: dict[str, Any]) -> None:
    assert parse_object(json.dumps(document).encode()) == document


@given(st.dictionaries(st.text(max_size=3), DOCUMENTS, min_size=1, max_size=3), st.data())
def test_a_member_twice_is_found_wherever_it_is(documents: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(documents)))
    twice = json.dumps(documents)[:-1] + ", " + json.dumps({name: 1})[1:]
    for text in (twice, f'{{"a": [{{"b": {twice}}}]}}'):
        with pytest.raises(InvalidInput, match="same member twice"):
            parse_object(text.encode())


def test_a_byte_order_mark_may_come_first() -> None:
    assert parse_object(BYTE_ORDER_MARK + b'{"a": 1}') == {"a": 1}
    with pytest.raises(MalformedRequest):
        parse_object(BYTE_ORDER_MARK * 2 + b'{"a": 1}')


def test_only_objects_are_objects() -> None:
    assert require_object({}) == {}
    for value in ([], None, "a", 1):
        with pytest.raises(InvalidInput, match="must be a JSON object"):
            require_object(value)


def test_errors_name_the_place_and_the_position() -> None:
    with pytest.raises(MalformedRequest) as caught:
        parse_json(b"[1,\n 2,\n x]", "x", line=4, column=7)
    assert (caught.value.place, caught.value.detail) == ("x", "is not JSON (line 7, column 2)")
    with pytest.raises(MalformedRequest) as caught:
        parse_json(b"[x]", "x", line=4, column=7)
    assert caught.value.detail == "is not JSON (line 5, column 9)"


def test_an_escaped_mark_costs_little() -> None:
    """It made the whole text be parsed again by the standard library, which took 25 times as long as parsing it."""
    plain = b'{"model":"a","instances":[' + b",".join([b'{"a":0}'] * 100_000) + b"]}"
    marked = plain.replace(b'"a",', b'"\\"",', 1)

    def seconds(text: bytes) -> float:
        best = 1e9
        for _ in range(5):
            begin = time.process_time()
            parse_object(text)
            best = min(best, time.process_time() - begin)
        return best

    assert seconds(marked) < 6 * seconds(plain)
