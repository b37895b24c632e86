"""Compressed bodies: whole, in several members, damaged, and far larger than they look."""

import gzip
import os
import zlib
from functools import partial

import pytest

from chainzrule.service.api.bodies.inflate import FREE, MEMBERS, PIECE, RATIO, inflate, inflated_bound
from chainzrule.service.errors import MalformedRequest, TooLarge

GZIP, ANY = 31, 47
LIMIT = 2**23


def inflated(packed: bytes, limit: int = LIMIT, bits: int = GZIP) -> bytes:
    pieces = list(inflate(packed, bits, limit))
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    return b"".join(pieces)


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 3])
def test_whatever_was_compressed_comes_back(size: int) -> None:
    for whole in (os.urandom(size), b"x" * size):  # longer than it was, and much shorter
        assert inflated(gzip.compress(whole)) == whole
        assert inflated(gzip.compress(whole), bits=ANY) == whole
        assert inflated(zlib.compress(whole), bits=ANY) == whole


@pytest.mark.parametrize("size", [1, 100_000])
def test_several_members_are_one_body(size: int) -> None:
    parts = [os.urandom(size), b"", b"middle", os.urandom(size)]
    assert inflated(b"".join(map(gzip.compress, parts))) == b"".join(parts)


def test_members_are_counted() -> None:
    member = gzip.compress(b"x")
    assert inflated(member * MEMBERS) == b"x" * MEMBERS
    with pytest.raises(MalformedRequest):
        inflated(member * (MEMBERS + 1))


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"s3cret",
        gzip.compress(b"x" * 1000)[:-1],
        gzip.compress(b"x" * 1000)[:5],
        gzip.compress(b"x") + b"s3cret",
        gzip.compress(b"x") + b"\x00",
        gzip.compress(b"x") + gzip.compress(b"y")[:-3],
        gzip.compress(b"x")[:-8] + b"\x00" * 8,
        zlib.compress(b"x"),
    ],
    ids=["empty", "other", "one short", "header", "text behind", "zero behind", "second short", "checksum", "zlib"],
)
def test_damaged_bytes_are_refused(packed: bytes) -> None:
    with pytest.raises(MalformedRequest):
        inflated(packed)


def test_a_body_stops_at_the_limit() -> None:
    assert len(inflated(gzip.compress(b" " * 10_000), 10_000)) == 10_000
    for packed in (gzip.compress(b" " * 10_001), gzip.compress(b" " * 5_000) + gzip.compress(b" " * 5_001)):
        with pytest.raises(TooLarge, match="at most 10000 bytes"):
            inflated(packed, 10_000)


def test_a_body_stops_at_the_ratio() -> None:
    packed = gzip.compress(b" " * (4 * FREE))
    assert len(packed) * RATIO < 4 * FREE
    pieces = inflate(packed, GZIP, LIMIT)
    size = 0

    def read() -> None:
        nonlocal size
        for piece in pieces:
            size += len(piece)

    with pytest.raises(TooLarge, match=f"{RATIO} times"):
        read()
    assert size <= inflated_bound(len(packed), LIMIT) == max(FREE, RATIO * len(packed))


def test_small_bodies_and_measured_values_have_no_ratio_to_fear() -> None:
    one_row = b"[" + b",".join([b"[17.99,10.38,122.8,1001.0,0.1184]"] * 4096) + b"]"
    assert inflated(gzip.compress(one_row)) == one_row
    values = b",".join(b"%.4f" % (i * 0.37 % 100) for i in range(600_000))
    assert len(values) > FREE
    assert inflated(gzip.compress(values, 9)) == values


def test_the_bound_is_never_exceeded() -> None:
    bound = partial(inflated_bound, limit=LIMIT)
    assert bound(1) == FREE
    assert bound(FREE) == LIMIT
    assert inflated_bound(1, 1000) == 1000
