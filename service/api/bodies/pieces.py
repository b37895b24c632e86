"""Parses long JSON texts in pieces, so that the interpreter lock is never held for more than about a millisecond.

A text is cut at commas. Each piece is completed by the brackets that are open around its cuts, which makes it JSON by
itself. It is parsed, and joined to what came before. The whole is JSON if each piece is, and if there is something on
both sides of each cut.
"""

import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.api.bodies.document import parse_json
from chainzrule.service.api.bodies.extent import Cut, Extent
from chainzrule.service.api.bodies.matrix import MatrixParser
from chainzrule.service.api.bodies.steps import Steps
from chainzrule.service.errors import InvalidInput, MalformedRequest

# A piece that begins inside a member's value gets this name for the member. It must be no name that a request has, or
# the member would seem to be there twice.
_NAME = secrets.token_hex(16)
_OPENING = {ord("["): b"[", ord("{"): b'{"%s":' % _NAME.encode()}
_CLOSING = {ord("["): b"]", ord("{"): b"}"}
_ROWS = b"{["  # the brackets around the commas between rows


class _Piece(NamedTuple):
    """Holds a part of a text, completed, with the brackets around the cut before it and where in the text it begins."""

    text: bytes
    around: bytes
    start: int
    added: int


def matrix_steps(text: bytes, extent: Extent) -> Steps[dict[str, Any] | None]:
    """Returns what `MatrixParser` returns for the whole text; yields after each piece."""
    if any(cut.around != _ROWS for cut in extent.cuts):
        return None
    parser, name = MatrixParser(), "instances"
    members: dict[str, Any] = {}
    matrix: NDArray[np.float64] | None = None
    filled = 0
    for piece in _pieces(text, extent.cuts):
        found = parser.parse(piece.text, name)
        if found is None:
            return None
        rows: NDArray[np.float64] = found.pop(name)
        if matrix is None:
            matrix = np.empty((extent.rows, rows.shape[1]))
        elif "instances" in found or not members.keys().isdisjoint(found):
            return None
        if rows.shape[1] != matrix.shape[1] or filled + len(rows) > len(matrix):
            return None
        matrix[filled : filled + len(rows)] = rows
        filled += len(rows)
        members.update(found)
        name = _NAME
        yield
    if matrix is None or filled != len(matrix):
        return None
    return {**members, "instances": matrix}


def document_steps(text: bytes, extent: Extent) -> Steps[Any]:
    """Returns what `parse_json` returns for the whole text, and raises its errors; yields after each piece."""
    whole: Any = None
    for piece in _pieces(text, extent.cuts):
        before = text.rfind(b"\n", 0, piece.start) + 1
        column = piece.start - before - piece.added
        part = parse_json(piece.text, "body", text.count(b"\n", 0, piece.start), column)
        if piece.start == 0:
            whole = part
        else:
            _join(whole, part, len(piece.around), piece.start)
        yield
    return whole


def _pieces(text: bytes, cuts: list[Cut]) -> Iterator[_Piece]:
    start, around = 0, b""
    for cut in (*cuts, Cut(len(text), b"")):
        opening = b"".join(map(_OPENING.__getitem__, around))
        if around.endswith(b"{"):  # the piece begins with a member's name
            opening = opening[: opening.rindex(b"{") + 1]
        closing = b"".join(map(_CLOSING.__getitem__, reversed(cut.around)))
        yield _Piece(b"".join((opening, text[start : cut.at], closing)), around, start, len(opening))
        start, around = cut.at + 1, cut.around


def _join(whole: Any, part: Any, depth: int, start: int) -> None:
    """Appends a part to the containers that were open at the cut before it, of which there are `depth`."""
    if depth == 1:
        if not whole or not part:
            raise MalformedRequest(f"is not JSON (at the comma before byte {start})", "body")
        _extend(whole, part)
    elif type(whole) is list:
        _join(whole[-1], part[0], depth - 1, start)
        whole.extend(part[1:])
    else:
        _join(whole[next(reversed(whole))], part.pop(_NAME), depth - 1, start)
        _extend(whole, part)


def _extend(whole: Any, part: Any) -> None:
    if type(whole) is list:
        whole.extend(part)
    elif whole.keys().isdisjoint(part):
        whole.update(part)
    else:
        raise InvalidInput("has an object with the same member twice", "body")
