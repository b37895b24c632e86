"""Request bodies: bytes within the limits, then JSON without duplicate members. Limits are checked before work."""

import json
import zlib
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from service.errors import InvalidInput, MalformedRequest, TooLarge, UnsupportedMedia

MAX_DEPTH = 32
# zlib's window bits: 16 + 15 reads gzip, 32 + 15 reads gzip and zlib.
_ENCODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 47}


async def read_body(request: Request, limit: int) -> bytes:
    """The body's bytes, decompressed.

    Raises:
        TooLarge: more than `limit` bytes, sent or decompressed, whatever Content-Length says.
        UnsupportedMedia: an encoding other than gzip and deflate.
        MalformedRequest: the compressed data are damaged.
        ClientDisconnect: the client went away.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity" and encoding not in _ENCODINGS:
        raise UnsupportedMedia("the content encoding must be gzip, deflate or none", "Content-Encoding")
    inflate = zlib.decompressobj(_ENCODINGS[encoding]) if encoding != "identity" else None
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        if inflate is not None and chunk:
            try:
                chunk = inflate.decompress(chunk, limit - size + 1)
            except zlib.error:
                raise MalformedRequest("the compressed body is damaged", "body") from None
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            break
    if inflate is not None and (not inflate.eof or inflate.unused_data):
        raise MalformedRequest("the compressed body is cut short or has something behind it", "body")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def read_object(request: Request, limit: int) -> dict[str, Any]:
    """The body as one JSON object; the content type must say JSON."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMedia("send JSON with Content-Type: application/json", "Content-Type")
    return parse_object(await read_body(request, limit))


def parse_object(text: bytes) -> dict[str, Any]:
    """Read one JSON object.

    Raises:
        MalformedRequest: not JSON; names the position.
        InvalidInput: not an object, an object with a member twice, or nested deeper than 32.
    """
    document = parse_json(text)
    if type(document) is not dict:
        raise InvalidInput("must be a JSON object", "body")
    return document


def parse_json(text: bytes) -> Any:
    """Read a JSON value; see `parse_object`."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if "depth limit" in str(error):
            raise _too_deep() from None
        # The parser's own message may quote the body.
        raise MalformedRequest(f"is not JSON (line {error.lineno}, column {error.colno})", "body") from None
    # A parser keeps the last of two equal members. Every member and every text in the document has two quotation
    # marks: if the body has more, either a member was there twice or a text holds an escaped mark; then look closely.
    marks = text.count(b'"')
    if marks != 2 * _outer_texts(document) and marks != 2 * _texts(document, MAX_DEPTH):
        _refuse_duplicates(text)
    return document


def _outer_texts(document: Any) -> int:
    """How many member names and texts the outermost object has: all there are, where rows are lists of numbers."""
    return len(document) + sum(type(value) is str for value in document.values()) if type(document) is dict else 0


def _texts(value: Any, depth: int) -> int:
    """How many member names and texts a document has."""
    kind = type(value)
    if kind is str:
        return 1
    if kind is not list and kind is not dict:
        return 0
    if depth == 0:
        raise _too_deep()
    if kind is dict:
        return len(value) + sum(_texts(item, depth - 1) for item in value.values() if type(item) in _COUNTED)
    return sum(_texts(item, depth - 1) for item in value if type(item) in _COUNTED)


_COUNTED = frozenset((str, list, dict))


def _refuse_duplicates(text: bytes) -> None:
    def unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(members)
        if len(found) != len(members):
            raise InvalidInput("has an object with the same member twice", "body")
        return found

    try:
        json.loads(text, object_pairs_hook=unique)
    except ValueError:
        raise MalformedRequest("is not JSON", "body") from None


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"must be at most {limit} bytes, also after decompression", "body")


def _too_deep() -> InvalidInput:
    return InvalidInput(f"is nested deeper than {MAX_DEPTH}", "body")
