"""What a text holds is counted exactly, and bounds what parsing it takes."""

import contextlib
import json
import sys
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainzrule.service.api.bodies import extent as module
from chainzrule.service.api.bodies.extent import LONGEST, MAX_DEPTH, WINDOW, Extent
from chainzrule.service.api.bodies.steps import run_steps
from chainzrule.service.errors import InvalidInput, TooLarge


def counted(text: bytes, max_rows: int | None = None) -> Extent:
    return run_steps(Extent(text, max_rows).counting())


def members(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(members, value.values()))
    return sum(map(members, value)) if isinstance(value, list) else 0


def commas(value: Any) -> int:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return max(len(value) - 1, 0) + sum(map(commas, inner))
    return 0


def rows(document: dict[str, Any]) -> int:
    return max((max(len(value), 1) for value in document.values() if isinstance(value, list)), default=0)


TEXTS = st.one_of(st.text(max_size=4), st.sampled_from(['"', "\\", '\\"', "\\\\", ",[", "]}", '",', ":"]))
VALUES = st.recursive(
    st.one_of(st.integers(-5, 5), st.floats(allow_nan=False, allow_infinity=False), st.none(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(TEXTS, VALUES, max_size=4)


@pytest.mark.parametrize("window", [3, 7, WINDOW])
@given(document=DOCUMENTS, spaces=st.booleans())
def test_counts_are_exact(window: int, document: dict[str, Any], spaces: bool) -> None:
    text = json.dumps(document, indent=1 if spaces else None).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WINDOW", window)
        found = counted(text)
    assert (found.members, found.commas, found.rows) == (members(document), commas(document), rows(document))


def size_of(value: Any) -> int:
    """The bytes of a document, as CPython counts them."""
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, list):
        inner = value
    return sys.getsizeof(value) + sum(map(size_of, inner))


@given(DOCUMENTS)
def test_a_document_takes_no_more_than_was_counted(document: dict[str, Any]) -> None:
    text = orjson.dumps(document)
    assert size_of(orjson.loads(text)) <= counted(text).document_bytes + 200  # the outermost object


@pytest.mark.parametrize(
    "item",
    [
        *("1.5", "0", "[]", "{}", '"a"', '{"a":0}', "[1]", "null", '""'),
        *('{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}', '{"%s":1}' % ("k" * 70)),
    ],
)
def test_what_is_repeated_takes_no_more_than_was_counted(item: str) -> None:
    text = ('{"instances":[' + ",".join([item] * 5000) + "]}").encode()
    assert size_of(orjson.loads(text)) <= counted(text).document_bytes
    if item == "1.5":
        assert np.empty((5000, 1)).nbytes <= counted(text).matrix_bytes


def test_too_many_rows_are_refused_before_the_rest_is_read() -> None:
    def text(count: int) -> bytes:
        return b'{"model": "m", "instances": [' + b",".join([b"[1, 2]"] * count) + b"], " + b'"include": ["a"]}'

    assert counted(text(9000), 9000).rows == 9000
    steps = Extent(text(90_000), 4096).counting()
    done = 0
    with pytest.raises(TooLarge, match="at most 4096 rows") as caught:
        for done, _ in enumerate(steps, 1):  # noqa: B007
            pass
    assert caught.value.place == "instances"
    assert done <= 4096 * len("[1, 2],") / WINDOW + 1


def test_only_lists_have_rows() -> None:
    box = ",".join(f'"{i}": [0, {i}]' for i in range(500))
    text = ('{"box": {' + box + '}, "instances": [[1, 2], [3, 4]], "include": []}').encode()
    assert counted(text, 2).rows == 2


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_bounded(opening: bytes, closing: bytes) -> None:
    counted(opening * MAX_DEPTH + b"1" + closing * MAX_DEPTH)
    with pytest.raises(InvalidInput, match="deeper than 32") as caught:
        run_steps(Extent(opening * (MAX_DEPTH + 1), place="x").counting())
    assert caught.value.place == "x"
    counted(b'{"a": "' + opening.replace(b'"', b'\\"') * 100 + b'"}')


def test_cuts_lie_between_rows_where_there_are_any() -> None:
    text = b'{"model": "a,b", "instances": [' + b",".join([b'[1, {"a": "],["}]'] * 20_000) + b"]}"
    cuts = counted(text).cuts
    assert len(cuts) >= len(text) // WINDOW - 1
    for cut in cuts:
        assert text[cut.at - 1 : cut.at + 2] == b"],["
        assert cut.around == b"{["
    assert max(np.diff([cut.at for cut in cuts])) < 2 * WINDOW


def test_a_row_is_cut_only_where_it_is_very_long() -> None:
    values = b",".join([b"1"] * (2 * LONGEST))
    cuts = counted(b'{"instances": [[' + values[: LONGEST // 2] + b"0], [" + values + b"]]}").cuts
    assert cuts[0].around == b"{["
    assert {cut.around for cut in cuts[1:]} == {b"{[["}


@given(st.binary(max_size=300), st.sampled_from([3, 16, 64]))
def test_whatever_is_no_json_at_all_is_counted_too(noise: bytes, window: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WINDOW", window)
        for text in (noise, b"]}" + noise, b'{"a":[' + noise):
            with contextlib.suppress(InvalidInput):
                counted(text)
