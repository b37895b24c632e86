"""Counts what a JSON text holds before it is parsed, and finds where it can be cut into pieces that are parsed alone.

The counts are exact for any JSON text. Of other texts they may be anything; the parser refuses those.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.errors import InvalidInput, TooLarge

MAX_DEPTH = 32
WINDOW = 2**15  # bytes that are looked at together; parsing as many takes about a millisecond
LONGEST = 2**20  # bytes after which a text is cut inside a row too, which costs the fast way of reading rows

_COMMA, _COLON, _LIST, _OBJECT, _CLOSER = range(1, 6)
_KINDS = np.zeros(256, np.uint8)
_KINDS[np.frombuffer(b",:[{]}", np.uint8)] = (_COMMA, _COLON, _LIST, _OBJECT, _CLOSER, _CLOSER)
_STEPS = np.array([0, 0, 0, 1, 1, -1], np.int32)  # in depth, by kind
_ROWS_DEPTH = 2  # of the commas between rows: {"instances": [row, row]}

# Bytes that CPython needs at most for one of each, with its place in the container that holds it.
_VALUE_BYTES, _TEXT_BYTES, _LIST_BYTES, _OBJECT_BYTES, _MEMBER_BYTES = 40, 80, 96, 240, 64
Bytes = NDArray[np.uint8]
Depths = NDArray[np.int32]


@dataclass(frozen=True)
class Cut:
    """Marks a comma at which a text can be cut.

    Attributes:
        at: where the comma is.
        around: the opening brackets of the lists and objects that the comma lies in, the outermost first.
    """

    at: int
    around: bytes


class Extent:
    """Counts what a JSON text holds.

    Attributes:
        size: the text's bytes.
        rows: the items of its longest list at the depth of `instances`.
        commas: the commas, of which there is one less than items or members in each list or object.
        members: the members of all its objects, as they are written.
        cuts: the places at which it can be cut, about `WINDOW` bytes apart where it has that many commas.

    Args:
        text: the text, which `counting` goes through.
        max_rows: the most rows that it may have; None for any number.
        place: what errors call the text.
    """

    def __init__(self, text: bytes, max_rows: int | None = None, place: str = "body") -> None:
        self.size = len(text)
        self.rows = self.commas = self.members = 0
        self.cuts: list[Cut] = []
        self._text, self._max_rows, self._place = text, max_rows, place
        self._texts = self._lists = self._objects = 0
        self._depth = self._row = 0
        self._in_list = False  # whether the last container at the rows' depth is a list
        self._around = np.zeros(MAX_DEPTH + 1, np.uint8)  # the kind of the container that was last opened, by depth
        self._last = 0

    def counting(self) -> Generator[None, None, "Extent"]:
        """Counts window by window, and yields after each; returns the extent itself.

        Raises:
            TooLarge: there are more rows than there may be.
            InvalidInput: the text is nested deeper than `MAX_DEPTH`.
        """
        for start, window in _outside_texts(self._text):
            self._texts += int(np.count_nonzero(window == 0))
            self._count(start, window)
            yield
        return self

    @property
    def matrix_bytes(self) -> int:
        """Returns the bytes of the matrix that the text holds, if all that it holds is one, and of its float32 copy."""
        return 12 * (self.commas + 1)

    @property
    def document_bytes(self) -> int:
        """Returns the most bytes that the parsed document takes."""
        values = self.commas + self._lists + self._objects + 1
        return (
            self.size
            + values * _VALUE_BYTES
            + self._texts * _TEXT_BYTES
            + self._lists * _LIST_BYTES
            + self._objects * _OBJECT_BYTES
            + self.members * _MEMBER_BYTES
        )

    def _count(self, start: int, window: Bytes) -> None:
        kinds = _KINDS[window]
        at = np.flatnonzero(kinds)
        if len(at) == 0:
            return
        kinds = kinds[at]
        steps = _STEPS[kinds]
        depths = np.cumsum(steps, dtype=np.int32)
        depths += self._depth
        counts = np.bincount(kinds, minlength=6)
        self.commas += int(counts[_COMMA])
        self.members += int(counts[_COLON])
        self._lists += int(counts[_LIST])
        self._objects += int(counts[_OBJECT])
        if depths.max() > MAX_DEPTH:
            raise too_deep(self._place)
        self._count_rows(kinds, depths, steps > 0)
        self._cut(start, at, kinds, depths)
        self._depth = int(depths[-1])

    def _count_rows(self, kinds: Bytes, depths: Depths, opens: NDArray[np.bool_]) -> None:
        here = depths == _ROWS_DEPTH
        commas = (here & (kinds == _COMMA)).astype(np.int64)
        begins = np.flatnonzero(here & opens)
        if len(begins) == 0:
            counts = np.array([commas.sum()])
        else:
            counts = np.add.reduceat(commas, np.concatenate(([0], begins)))
        counts[0] += self._row
        in_lists = np.concatenate(([self._in_list], kinds[begins] == _LIST))
        if in_lists.any():
            self.rows = max(self.rows, int(counts[in_lists].max()) + 1)
            if self._max_rows is not None and self.rows > self._max_rows:
                raise too_many_rows(self._max_rows)
        self._row, self._in_list = int(counts[-1]), bool(in_lists[-1])

    def _cut(self, start: int, at: NDArray[np.intp], kinds: Bytes, depths: Depths) -> None:
        around = self._around.copy()
        _open(self._around, kinds, depths)
        if depths.min() <= 0:  # the text ends here
            return
        commas = np.flatnonzero(kinds == _COMMA)
        between_rows = commas[depths[commas] == _ROWS_DEPTH]
        if len(between_rows) > 0:
            chosen = int(between_rows[-1])
        elif len(commas) > 0 and not (self._in_row(int(depths[-1])) and start + WINDOW - self._last < LONGEST):
            chosen = int(commas[depths[commas] == depths[commas].min()][-1])
        else:
            return
        _open(around, kinds[:chosen], depths[:chosen])
        self._last = start + int(at[chosen])
        self.cuts.append(Cut(self._last, _brackets(around[1 : depths[chosen] + 1])))

    def _in_row(self, depth: int) -> bool:
        """Returns whether what was counted last lies in a row that is a list, which is better not cut."""
        return depth == _ROWS_DEPTH + 1 and _brackets(self._around[1 : depth + 1]) == b"{[["


def _open(around: Bytes, kinds: Bytes, depths: Depths) -> None:
    """Notes the kinds of the containers that are opened, by depth."""
    opened = (kinds == _LIST) | (kinds == _OBJECT)
    around[np.maximum(depths[opened], 0)] = kinds[opened]


def _brackets(kinds: Bytes) -> bytes:
    return bytes(b"[{"[kind - _LIST] for kind in kinds.tolist())


def too_many_rows(most: int) -> TooLarge:
    """Returns the error of a question with more rows than `most`."""
    return TooLarge(f"must be at most {most} rows; send several requests", "instances")


def too_deep(place: str) -> InvalidInput:
    """Returns the error of a text that is nested too deeply."""
    return InvalidInput(f"is nested deeper than {MAX_DEPTH}", place)


def _outside_texts(text: bytes) -> Iterator[tuple[int, Bytes]]:
    """Yields windows of a JSON text, each with its start; all bytes inside texts are 1, and closing marks are 0."""
    inside, escaped = 0, False
    for start in range(0, len(text), WINDOW):
        window = text[start : start + WINDOW]
        if escaped or b"\\" in window:
            if escaped:
                window = b"_" + window[1:]
            window = window.replace(b"\\\\", b"__").replace(b'\\"', b"__")
            escaped = window.endswith(b"\\")
        found = np.frombuffer(window, np.uint8)
        marks = found == ord('"')
        within = np.bitwise_xor.accumulate(marks.view(np.uint8))  # from an opening mark to before its closing one
        if inside:
            within ^= 1
        inside = int(within[-1])
        found = np.where(within, 1, found)
        found[marks & (within == 0)] = 0
        yield start, found
