"""Reads request bodies: bytes within the limits, then JSON without duplicate members. Limits are checked first."""

import asyncio
import json
import zlib
from typing import Any

import orjson
from starlette.requests import ClientDisconnect

from chainzrule.service.api.incoming import Incoming
from chainzrule.service.api.matrix import MatrixParser
from chainzrule.service.errors import InvalidInput, MalformedRequest, TooLarge, UnsupportedMedia

MAX_DEPTH = 32
LARGE_BODY = 2**20  # bytes beyond which parsing would hold up the event loop for milliseconds
_LENGTH_DIGITS = 15  # a Content-Length of more digits is always too large
# These are zlib's window bits: 16 + 15 reads gzip, 32 + 15 reads gzip and zlib.
_ENCODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 47}


async def read_body(request: Incoming, limit: int, deadline: float) -> bytes:
    """Returns the body's bytes, decompressed; `deadline` is by the event loop's clock.

    Raises:
        TooLarge: the body has more than `limit` bytes, as sent or decompressed, whatever Content-Length says.
        UnsupportedMedia: the encoding is neither gzip nor deflate.
        MalformedRequest: the compressed data are damaged.
        DeadlineExceeded: the body was not complete by the deadline.
        ClientDisconnect: the client went away.
    """
    if request.header(b"content-encoding") is None:
        body = request.whole_body()
        if body is not None:  # all of it has arrived, so no deadline is needed
            if len(body) > limit:
                raise _too_large(limit)
            return body
    return await request.bodies.keep(_receive(request, limit), deadline)


async def _receive(request: Incoming, limit: int) -> bytes:
    declared = request.header(b"content-length") or ""
    if declared.isdecimal() and (len(declared) > _LENGTH_DIGITS or int(declared) > limit):
        raise _too_large(limit)
    encoding = (request.header(b"content-encoding") or "identity").strip().lower()
    if encoding != "identity" and encoding not in _ENCODINGS:
        raise UnsupportedMedia("the content encoding must be gzip, deflate or none", "Content-Encoding")
    inflate = zlib.decompressobj(_ENCODINGS[encoding]) if encoding != "identity" else None
    chunks: list[bytes] = []
    received = size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        received += len(chunk)
        if inflate is not None and chunk:
            try:
                chunk = inflate.decompress(chunk, limit - size + 1)
            except zlib.error:
                raise MalformedRequest("the compressed body is damaged", "body") from None
        size += len(chunk)
        # Compressed bytes are limited too, because some decompress to nothing.
        if max(received, size) > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            break
    if inflate is not None and (not inflate.eof or inflate.unused_data):
        raise MalformedRequest("the compressed body is cut short or has something behind it", "body")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def read_rows(request: Incoming, limit: int, deadline: float, parser: MatrixParser) -> dict[str, Any]:
    """Returns the body's JSON object.

    Where `instances` are lists of numbers, they become a float64 matrix, (rows, columns); else they stay as they are.

    Raises:
        UnsupportedMedia: the content type is not JSON.
        MalformedRequest, InvalidInput: raised as by `parse_object`; all other errors are those of `read_body`.
    """
    media_type = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMedia("send JSON with Content-Type: application/json", "Content-Type")
    text = await read_body(request, limit, deadline)
    if len(text) > LARGE_BODY:
        return await asyncio.to_thread(_parse_large, text)
    return parser.parse(text) or parse_object(text)


def _parse_large(text: bytes) -> dict[str, Any]:
    return MatrixParser().parse(text) or parse_object(text)


def parse_object(text: bytes) -> dict[str, Any]:
    """Returns the JSON object in a text.

    Raises:
        MalformedRequest: the text is not JSON; the error names the position.
        InvalidInput: the text is no object, has an object with a member twice or a number that is too large for any
            float, or is nested deeper than 32.
    """
    document = parse_json(text)
    if type(document) is not dict:
        raise InvalidInput("must be a JSON object", "body")
    return document


def parse_json(text: bytes, place: str = "body") -> Any:
    """Returns the JSON value that is at `place` in the request; raises the errors of `parse_object`."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        at = f"(line {error.lineno}, column {error.colno})"
        if "depth limit" in str(error):
            raise _too_deep(place) from None
        if "infinity" in str(error):
            raise InvalidInput(f"holds a number that is too large for any float {at}", place) from None
        # The parser's own message is not passed on, because it may quote the body.
        raise MalformedRequest(f"is not JSON {at}", place) from None
    # A parser keeps the last of two members with the same name. Each member name and each text has two quotation marks:
    # if the body has more of them, a member is there twice or a text holds an escaped mark, so it is parsed again.
    marks = text.count(b'"')
    if marks != 2 * _outer_texts(document) and marks != 2 * _texts(document, MAX_DEPTH, place):
        _refuse_duplicates(text, place)
    return document


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
        raise _too_deep(place)
    if kind is dict:
        return len(value) + sum(_texts(item, depth - 1, place) for item in value.values() if type(item) in _COUNTED)
    return sum(_texts(item, depth - 1, place) for item in value if type(item) in _COUNTED)


_COUNTED = frozenset((str, list, dict))


def _refuse_duplicates(text: bytes, place: str) -> None:
    def unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(members)
        if len(found) != len(members):
            raise InvalidInput("has an object with the same member twice", place)
        return found

    try:
        json.loads(text, object_pairs_hook=unique)
    except RecursionError:  # in a member that is missing in the document, because another of the same name replaced it
        raise _too_deep(place) from None


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"must be at most {limit} bytes, also after decompression", "body")


def _too_deep(place: str) -> InvalidInput:
    return InvalidInput(f"is nested deeper than {MAX_DEPTH}", place)
