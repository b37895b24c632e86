"""Decompresses bodies piece by piece, up to a limit and a ratio."""

import zlib
from collections.abc import Iterator

from chainzrule.service.api.bodies.intake import too_large
from chainzrule.service.errors import MalformedRequest, TooLarge

PIECE = 2**16  # bytes in and out of one call
MEMBERS = 64  # most gzip members of one body; two files that were concatenated have two
# Tables of measured values compress 3 to 10 times, and images that are mostly black 20 times. A table that repeats one
# row, as tests of a service's speed do, may reach the 1,000 times that the format allows, so small bodies may as well.
RATIO = 200
FREE = 2**21  # bytes that any body may decompress to


def inflated_bound(packed: int, limit: int) -> int:
    """Returns how many bytes so many compressed ones may decompress to."""
    return min(limit, max(FREE, RATIO * packed))


def inflate(packed: bytes, window_bits: int, limit: int) -> Iterator[bytes]:
    """Yields the decompressed bytes, at most `PIECE` at a time; `window_bits` are zlib's.

    Raises:
        TooLarge: they are more than `limit`, or more than such a body may decompress to.
        MalformedRequest: the compressed bytes are damaged, are cut short or have something behind them.
    """
    bound = inflated_bound(len(packed), limit)
    stream, members = zlib.decompressobj(window_bits), 1
    size = at = 0
    while not stream.eof:
        source = stream.unconsumed_tail
        if not source:
            source = packed[at : at + PIECE]
            at += len(source)
        try:
            piece = stream.decompress(source, PIECE)
        except zlib.error:
            raise MalformedRequest("the compressed body is damaged", "body") from None
        if not source and not piece and not stream.eof:
            raise MalformedRequest("the compressed body is cut short", "body")
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        if size > bound:
            raise TooLarge(f"decompresses to more than {RATIO} times its size; send it uncompressed", "body")
        if piece:
            yield piece
        if stream.eof and (stream.unused_data or at < len(packed)):
            at -= len(stream.unused_data)
            if members == MEMBERS or not packed.startswith(b"\x1f\x8b", at):
                raise MalformedRequest("the compressed body has something behind it", "body")
            stream, members = zlib.decompressobj(window_bits), members + 1
