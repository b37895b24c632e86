"""Reads request bodies: bytes within the limits, then JSON without duplicate members.

Small bodies are read on the event loop at once. Others are decompressed, counted and parsed by a thread, one body after
the other, and what this will hold is added to the request's bytes before it begins.
"""

from typing import Any

from chainzrule.service.api.bodies.document import BYTE_ORDER_MARK, parse_object, require_object
from chainzrule.service.api.bodies.extent import Extent
from chainzrule.service.api.bodies.inflate import inflate, inflated_bound
from chainzrule.service.api.bodies.intake import receive_body, take_body
from chainzrule.service.api.bodies.matrix import MatrixParser
from chainzrule.service.api.bodies.media import require_json, window_bits
from chainzrule.service.api.bodies.pieces import document_steps, matrix_steps
from chainzrule.service.api.bodies.steps import Steps, run_steps
from chainzrule.service.api.incoming import Incoming
from chainzrule.service.errors import TooLarge

INLINE_MATRIX = 2**18  # bytes of rows that are lists of numbers, whose parsing takes about a millisecond
INLINE = 2**14  # bytes of any other text, and of compressed ones, with which the same holds
DOCUMENT_BYTES = 24  # most bytes that a parsed document takes for each byte of its text


async def read_body(request: Incoming, limit: int, deadline: float) -> bytes:
    """Returns the body's bytes, decompressed; `deadline` is by the event loop's clock.

    Raises:
        TooLarge: the body has more than `limit` bytes, as sent or decompressed, whatever Content-Length says; or it
            decompresses to far more than it is itself.
        UnsupportedMedia: the encoding is neither gzip nor deflate.
        MalformedRequest: the compressed data are damaged.
        Overloaded: the service holds too many bytes.
        DeadlineExceeded: the body was not complete or not decompressed by the deadline.
        ClientDisconnect: the client went away.
    """
    body, bits = await _receive(request, limit, deadline)
    if bits is None:
        return body
    return await request.reading.deadlines.keep(_inflate(request, body, bits, limit), deadline)


async def read_rows(
    request: Incoming, limit: int, max_rows: int, deadline: float, parser: MatrixParser
) -> dict[str, Any]:
    """Returns the body's JSON object.

    Where `instances` are lists of numbers, they become a float64 matrix, (rows, columns); else they stay as they are.

    Raises:
        UnsupportedMedia: the content type is not JSON.
        TooLarge: there are more than `max_rows` rows; small bodies are not refused for that here.
        ServiceError: raised as by `read_body` and `parse_object`.
    """
    require_json(request)
    body, bits = await _receive(request, limit, deadline)
    if bits is None and len(body) <= INLINE_MATRIX:
        found = parser.parse(body)
        if found is not None:
            request.holding.resize(found["instances"].nbytes)
            return found
        if len(body) <= INLINE:
            return parse_small(request, body)
    return await request.reading.deadlines.keep(_read_rows(request, body, bits, limit, max_rows), deadline)


def parse_small(request: Incoming, text: bytes, rows: str = "instances") -> dict[str, Any]:
    """Returns the JSON object in a text of at most `INLINE` bytes; raises the errors of `parse_object`."""
    document = parse_object(text, rows)
    request.holding.resize(request.holding.count + len(text) * DOCUMENT_BYTES)
    return document


async def parse_large(request: Incoming, text: bytes, deadline: float, rows: str = "inputs") -> dict[str, Any]:
    """Returns the JSON object in a long text that is part of the request's body; its member `rows` has the rows.

    Raises:
        Overloaded: the service holds too many bytes.
        DeadlineExceeded: the text was not parsed by the deadline.
        ServiceError: raised as by `parse_object`.
    """
    return await request.reading.deadlines.keep(_parse_object(request, text, rows), deadline)


async def _receive(request: Incoming, limit: int, deadline: float) -> tuple[bytes, int | None]:
    """Returns the body, with zlib's window bits where it is still compressed; small ones are decompressed already."""
    bits = None if request.header(b"content-encoding") is None else window_bits(request)
    body = take_body(request, limit)
    if body is None:
        body = await receive_body(request, limit, deadline)
    if bits is not None and len(body) <= INLINE <= limit:
        inflated = _inflate_small(body, bits)
        if inflated is not None:
            request.holding.resize(len(inflated))
            return inflated, None
    return body, bits


def _inflate_small(packed: bytes, bits: int) -> bytes | None:
    """Returns the decompressed bytes; None where they are more than `INLINE`."""
    try:
        return run_steps(_inflated(packed, bits, INLINE))
    except TooLarge:
        return None


async def _inflate(request: Incoming, packed: bytes, bits: int, limit: int) -> bytes:
    async with request.reading.thread.turn:
        return await _inflate_in_turn(request, packed, bits, limit)


async def _inflate_in_turn(request: Incoming, packed: bytes, bits: int, limit: int) -> bytes:
    hold(request, len(packed) + inflated_bound(len(packed), limit))
    body = await request.reading.thread.run(_inflated(packed, bits, limit))
    request.holding.resize(len(body))
    return body


def _inflated(packed: bytes, bits: int, limit: int) -> Steps[bytes]:
    pieces = []
    for piece in inflate(packed, bits, limit):
        pieces.append(piece)
        yield
    return b"".join(pieces)


async def _read_rows(request: Incoming, body: bytes, bits: int | None, limit: int, max_rows: int) -> dict[str, Any]:
    """Decompresses and parses in one turn, so that no decompressed body waits for another turn."""
    thread = request.reading.thread
    async with thread.turn:
        text = body if bits is None else await _inflate_in_turn(request, body, bits, limit)
        text, held = text.removeprefix(BYTE_ORDER_MARK), request.holding.count
        extent = await thread.run(Extent(text, max_rows).counting())
        hold(request, held + extent.matrix_bytes)
        found = await thread.run(matrix_steps(text, extent))
        if found is not None:
            request.holding.resize(extent.matrix_bytes)
            return found
        hold(request, held + extent.document_bytes)
        document = require_object(await thread.run(document_steps(text, extent)))
        request.holding.resize(extent.document_bytes)
        return document


async def _parse_object(request: Incoming, text: bytes, rows: str) -> dict[str, Any]:
    thread, held = request.reading.thread, request.holding.count
    text = text.removeprefix(BYTE_ORDER_MARK)
    async with thread.turn:
        extent = await thread.run(Extent(text).counting())
        hold(request, held + extent.document_bytes)
        return require_object(await thread.run(document_steps(text, extent)), rows)


def hold(request: Incoming, count: int) -> None:
    """Holds `count` bytes for a request from now on.

    Raises:
        TooLarge: they would be more than the service may ever hold for one request.
        Overloaded: there is no room for them now.
    """
    if count > request.reading.budget.most:
        raise TooLarge("holds more values than the service has room for; send several requests", "body")
    request.holding.resize(count)
