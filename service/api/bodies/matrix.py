"""Parses JSON objects whose `instances` are lists of numbers into a matrix, the hot case, in one pass of compiled code.

Everything else (rows that are objects, texts, gaps, and all faulty bodies) gives None and is parsed again by `body`,
whose errors say what is wrong and where. The two must never differ in what they accept; tests check that they do not.
"""

from typing import Any

import numpy as np
import simdjson
from numpy.typing import NDArray

_SIMPLE = frozenset((str, float, int, bool, type(None)))
_LONG = 2**12  # from this many bytes on, numpy counts brackets faster than `bytes.count`


class MatrixParser:
    """Parses bodies with one parser, whose buffers are reused. It must stay in one thread."""

    def __init__(self) -> None:
        self._parser = simdjson.Parser()

    def parse(self, text: bytes, rows: str = "instances") -> dict[str, Any] | None:
        """Returns the object's members, the one called `rows` as (rows, columns) float64; None for any other text."""
        if not text.startswith(b"{"):  # simdjson accepts a byte order mark, which is not JSON
            return None
        try:
            return _members(self._parser.parse(text), text, rows)
        except (ValueError, TypeError, KeyError, RuntimeError, OverflowError):
            # The traceback may hold a view into the parser's buffers, and then the parser cannot be reused.
            self._parser = simdjson.Parser()
            return None


def _members(document: Any, text: bytes, name: str) -> dict[str, Any] | None:
    if type(document) is not simdjson.Object:
        return None
    names = list(document)
    rows: Any = document[name]
    if not isinstance(rows, simdjson.Array):
        return None
    members = {other: document[other] for other in names if other != name}
    if len(members) != len(names) - 1 or not _SIMPLE.issuperset(map(type, members.values())):
        return None
    lengths = {len(row) for row in rows}  # type: ignore[arg-type]  # a number has none: TypeError
    # as_buffer refuses all but numbers, but flattens any nesting. If all rows have one length and there is one bracket
    # for each row and one around them, nothing is nested inside the rows.
    if len(lengths) != 1 or _brackets(text) != len(rows) + 1:
        return None
    matrix: NDArray[np.float64] = np.frombuffer(rows.as_buffer(of_type="d"))
    return {**members, name: matrix.reshape(len(rows), lengths.pop())}


def _brackets(text: bytes) -> int:
    if len(text) < _LONG:
        return text.count(b"[")
    return int(np.count_nonzero(np.frombuffer(text, dtype=np.uint8) == ord("[")))
