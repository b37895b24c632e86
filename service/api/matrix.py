"""JSON objects whose `instances` are plain lists of numbers, straight into a matrix: the hot case, in one pass of C.

Everything else (rows as objects, texts, gaps, and whatever is wrong with a body) gives None, and takes the general way,
which says what is wrong and where. The two ways must never differ in what they accept: tests hold them together.
"""

from typing import Any

import numpy as np
import simdjson
from numpy.typing import NDArray

_SIMPLE = frozenset((str, float, int, bool, type(None)))
_LONG = 2**12  # bytes from which numpy counts faster than a search from one bracket to the next


class MatrixParser:
    """Parses with one parser, whose buffers are used again. Belongs to one thread."""

    def __init__(self) -> None:
        self._parser = simdjson.Parser()

    def parse(self, text: bytes) -> dict[str, Any] | None:
        """Returns the object's members, with `instances` as (rows, columns) float64; None where it is anything else."""
        if not text.startswith(b"{"):  # simdjson passes over a byte order mark, which is not JSON
            return None
        try:
            return _members(self._parser.parse(text), text)
        except (ValueError, TypeError, KeyError, RuntimeError, OverflowError):
            # A traceback may have kept a view into the parser's buffers; it could not be used again.
            self._parser = simdjson.Parser()
            return None


def _members(document: Any, text: bytes) -> dict[str, Any] | None:
    if type(document) is not simdjson.Object:
        return None
    names = list(document)
    rows: Any = document["instances"]
    if not isinstance(rows, simdjson.Array):
        return None
    members = {name: document[name] for name in names if name != "instances"}
    if len(members) != len(names) - 1 or not _SIMPLE.issuperset(map(type, members.values())):
        return None
    lengths = {len(row) for row in rows}  # type: ignore[arg-type]  # a number has none: TypeError
    # as_buffer refuses all but numbers, and flattens whatever the nesting: with rows of one length and as many brackets
    # as rows, there is nothing to flatten but the rows themselves.
    if len(lengths) != 1 or _brackets(text) != len(rows) + 1:
        return None
    matrix: NDArray[np.float64] = np.frombuffer(rows.as_buffer(of_type="d"))
    return {**members, "instances": matrix.reshape(len(rows), lengths.pop())}


def _brackets(text: bytes) -> int:
    if len(text) < _LONG:
        return text.count(b"[")
    return int(np.count_nonzero(np.frombuffer(text, dtype=np.uint8) == ord("[")))
