"""A text that is parsed in pieces gives what it gives when it is parsed at once, or is refused as well."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainzrule.service.api.bodies import extent as module
from chainzrule.service.api.bodies.document import parse_json
from chainzrule.service.api.bodies.extent import Extent
from chainzrule.service.api.bodies.matrix import MatrixParser
from chainzrule.service.api.bodies.pieces import document_steps, matrix_steps
from chainzrule.service.api.bodies.steps import run_steps
from chainzrule.service.errors import InvalidInput, MalformedRequest, ServiceError
from tests.service.api.bodies.test_extent import DOCUMENTS, VALUES


def extent_of(text: bytes, window: int, longest: int) -> Extent:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WINDOW", window)
        patch.setattr(module, "LONGEST", longest)
        return run_steps(Extent(text).counting())


def in_pieces(text: bytes, window: int, longest: int) -> Any:
    return run_steps(document_steps(text, extent_of(text, window, longest)))


def matrix_in_pieces(text: bytes, window: int, longest: int) -> Any:
    return run_steps(matrix_steps(text, extent_of(text, window, longest)))


def outcome(parse: Callable[[], Any]) -> Any:
    """What parsing gives, as JSON, which tells 1 from 1.0; None where it refuses."""
    try:
        found = parse()
    except ServiceError:
        return None
    return None if found is None else orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_SORT_KEYS)


def assert_alike(text: bytes, sizes: tuple[int, int]) -> None:
    """Pieces give what the whole gives; the fast way may always leave a text to the other one."""
    assert outcome(lambda: in_pieces(text, *sizes)) == outcome(lambda: parse_json(text))
    matrix = outcome(lambda: matrix_in_pieces(text, *sizes))
    assert matrix in (None, outcome(lambda: MatrixParser().parse(text)))


SIZES = st.sampled_from([(3, 3), (5, 12), (16, 40), (64, 10_000)])
ROWS = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.lists(st.integers(-9, 9), min_size=width, max_size=width), max_size=12)
)
REQUESTS = st.one_of(
    DOCUMENTS,
    st.fixed_dictionaries({"model": st.just("m"), "instances": ROWS, "noise_scale": st.just(2)}),
    st.fixed_dictionaries({"instances": VALUES, "x": VALUES}),
)


@given(REQUESTS, SIZES, st.booleans())
def test_pieces_make_the_whole(document: Any, sizes: tuple[int, int], spaces: bool) -> None:
    text = json.dumps(document, separators=(", ", ": ") if spaces else (",", ":")).encode()
    assert outcome(lambda: parse_json(text)) is not None
    assert_alike(text, sizes)


CHANGES = st.sampled_from([b",", b"[", b"]", b"{", b"}", b'"', b"\\", b":", b"1", b'"a":1,', b" ", b"", b"\n", b"\xff"])


@given(REQUESTS, SIZES, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2), CHANGES), min_size=1, max_size=2))
def test_what_is_refused_at_once_is_refused_in_pieces(
    document: Any, sizes: tuple[int, int], changes: list[tuple[int, int, bytes]]
) -> None:
    text = json.dumps(document).encode()
    for at, taken, put in changes:
        at %= len(text) + 1
        text = text[:at] + put + text[at + taken :]
    assert_alike(text, sizes)


@pytest.mark.parametrize(
    "text",
    [
        b'{"instances": [[1, 2], [3, 4],, [5, 6]]}',
        b'{"instances": [[1, 2], [3, 4], ]}',
        b'{"instances": [, [1, 2], [3, 4]]}',
        b'{"instances": [[1, 2], [3, 4]], }',
        b'{, "instances": [[1, 2], [3, 4]]}',
        b'{"instances": [[1, 2}, [3, 4]]}',
        b'{"instances": [[1, 2], [3, 4]} ]',
        b'{"instances": [[1, 2], [3, 4]]}, [1, 2]',
        b'{"instances": [[1, 2], [3, 4]]} [[1, 2], [3, 4]]',
        b'{"instances": [[1, 2], [3, 4]], "instances": [[5, 6], [7, 8]]}',
        b'{"instances": [[1, 2], [3, 4]], "instances": 5, "model": "m"}',
        b'{"model": "m", "instances": [[1, 2], [3, 4]], "model": "m"}',
        b'{"instances": [{"a": 1, "b": 2}, {"a": 1, "b": 2, "a": 3}]}',
    ],
)
@pytest.mark.parametrize("window", range(2, 12))
def test_faults_at_a_cut_are_found(text: bytes, window: int) -> None:
    for longest in (1, 10**6):
        with pytest.raises((MalformedRequest, InvalidInput)):
            in_pieces(text, window, longest)
        assert outcome(lambda longest=longest: matrix_in_pieces(text, window, longest)) is None


def test_rows_become_a_matrix() -> None:
    rows = [[float(i), i / 7] for i in range(9000)]
    text = orjson.dumps({"model": "m", "instances": rows, "noise_scale": 2.0})
    extent = run_steps(Extent(text).counting())
    assert len(extent.cuts) > 3
    assert len(list(matrix_steps(text, extent))) == len(extent.cuts) + 1
    found = run_steps(matrix_steps(text, extent))
    assert found is not None
    np.testing.assert_array_equal(found.pop("instances"), rows)
    assert found == {"model": "m", "noise_scale": 2.0}


def test_errors_name_the_position_in_the_whole() -> None:
    lines = ["[1.5, 2.5],"] * 9000
    lines[7000] = "[1.5, nan],"
    text = ('{"instances": [\n' + "\n".join(lines) + "\n[1, 2]]}").encode()
    with pytest.raises(MalformedRequest) as once:
        parse_json(text)
    with pytest.raises(MalformedRequest) as pieces:
        in_pieces(text, 2**15, 2**20)
    assert pieces.value.detail == once.value.detail
    flat = text.replace(b"\n", b" ")
    with pytest.raises(MalformedRequest) as once:
        parse_json(flat)
    with pytest.raises(MalformedRequest) as pieces:
        in_pieces(flat, 2**15, 2**20)
    assert pieces.value.detail == once.value.detail


@pytest.mark.parametrize("widths", [(2, 1), (1, 2), (3, 2)])
def test_rows_of_different_widths_are_no_matrix_whichever_piece_they_are_in(widths: tuple[int, int]) -> None:
    """A row of one value would fill a wider row of the matrix, and more rows than were counted would not fit."""
    half = 20_000
    text = orjson.dumps({"instances": [[1.0] * widths[0]] * half + [[2.0] * widths[1]] * half})
    extent = run_steps(Extent(text).counting())
    assert len(extent.cuts) > 3
    assert run_steps(matrix_steps(text, extent)) is None
    even = orjson.dumps({"instances": [[1.0] * widths[0]] * half})
    extent = run_steps(Extent(even).counting())
    assert run_steps(matrix_steps(even, extent)) is not None
    extent.rows -= 1
    assert run_steps(matrix_steps(even, extent)) is None
