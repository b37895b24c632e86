"""Bodies: within the limits, decompressed, and one JSON object without duplicates; else refused by name."""

import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from tests.service.api.refusals import (
    JSON,
    MARK,
    ROW,
    Case,
    assert_problem,
    assert_refused,
    invalid,
    malformed,
    nested,
    question,
)

pytestmark = pytest.mark.anyio


CASES = [
    # 400: not JSON.
    malformed("empty", ""),
    malformed("spaces", "  \n"),
    malformed("text", MARK),
    malformed("truncated", '{"instances": [[1.0, 2.0'),
    malformed("single quotes", "{'instances': [[1, 2]]}"),
    malformed("trailing comma", '{"instances": [[1, 2],]}'),
    malformed("two documents", '{"instances": [[1, 2]]} {}'),
    malformed("comment", '{"instances": [[1, 2]]} // s3cret'),
    malformed("NaN", '{"instances": [[1.0, NaN]]}'),
    malformed("Infinity", '{"instances": [[1.0, Infinity]]}'),
    malformed("-Infinity", '{"instances": [[1.0, -Infinity]]}'),
    malformed("plus sign", '{"instances": [[1.0, +2]]}'),
    malformed("hexadecimal", '{"instances": [[1.0, 0x10]]}'),
    malformed("leading zero", '{"instances": [[1.0, 01]]}'),
    malformed("two byte order marks", b"\xef\xbb\xbf" * 2 + b'{"instances": [[1.0, 2.0]]}'),
    malformed("UTF-16", '{"instances": [[1.0, 2.0]]}'.encode("utf-16")),
    malformed("malformed UTF-8", b'{"model": "s3cret\xff", "instances": [[1, 2]]}'),
    malformed("overlong UTF-8", b'{"model": "s3cret\xc0\xaf", "instances": [[1, 2]]}'),
    malformed("surrogates in UTF-8", b'{"model": "s3cret\xed\xa0\x80", "instances": [[1, 2]]}'),
    malformed("lone surrogate", '{"model": "s3cret\\ud800", "instances": [[1, 2]]}'),
    malformed("control character", '{"model": "s3cret\x00", "instances": [[1, 2]]}'),
    malformed("null bytes", b"\x00\x00\x00\x00"),
    Case(
        "damaged gzip", 400, "malformed-request", b"s3cret", headers={**JSON, "Content-Encoding": "gzip"}, place="body"
    ),
    Case(
        "truncated gzip",
        400,
        "malformed-request",
        gzip.compress(orjson.dumps(question()))[:-9],
        headers={**JSON, "Content-Encoding": "gzip"},
        place="body",
    ),
    Case(
        "something behind the gzip",
        400,
        "malformed-request",
        gzip.compress(orjson.dumps(question())) + b"s3cret",
        headers={**JSON, "Content-Encoding": "gzip"},
        place="body",
    ),
    Case("empty gzip", 400, "malformed-request", b"", headers={**JSON, "Content-Encoding": "gzip"}, place="body"),
    Case(
        "wrong checksum",
        400,
        "malformed-request",
        zlib.compress(orjson.dumps(question()))[:-1] + b"\x00",
        headers={**JSON, "Content-Encoding": "deflate"},
        place="body",
    ),
    # 413.
    Case("too many bytes", 413, "too-large", b'{"instances": [[1, "' + b"s3cret" * 20_000 + b'"]]}', place="body"),
    Case(
        "gzip bomb",
        413,
        "too-large",
        gzip.compress(b" " * 50_000_000),
        headers={**JSON, "Content-Encoding": "gzip"},
        place="body",
    ),
    # 415.
    Case("no content type", 415, "unsupported-media", question(), headers={"Content-Type": ""}, place="Content-Type"),
    Case(
        "form",
        415,
        "unsupported-media",
        f"x={MARK}",
        headers={"Content-Type": "multipart/form-data"},
        place="Content-Type",
    ),
    Case(
        "text/json", 415, "unsupported-media", question(), headers={"Content-Type": "text/json"}, place="Content-Type"
    ),
    Case("other media", 415, "unsupported-media", question(), headers={"Content-Type": MARK}, place="Content-Type"),
    Case(
        "other media, explained",
        415,
        "unsupported-media",
        question(),
        path="/sensitivity",
        headers={"Content-Type": MARK},
        place="Content-Type",
    ),
    Case(
        "brotli",
        415,
        "unsupported-media",
        question(),
        headers={**JSON, "Content-Encoding": "br"},
        place="Content-Encoding",
    ),
    Case(
        "twice encoded",
        415,
        "unsupported-media",
        question(),
        headers={**JSON, "Content-Encoding": "gzip, gzip"},
        place="Content-Encoding",
    ),
    # 422.
    invalid("list", "[]", "body"),
    invalid("null", "null", "body"),
    invalid("text as JSON", f'"{MARK}"', "body"),
    invalid("number", "1", "body"),
    invalid("member twice", '{"instances": [[1, 2]], "instances": [[1, 2]]}', "body"),
    invalid("member twice, of another kind", '{"model": "s3cret", "model": null, "instances": [[1, 2]]}', "body"),
    invalid("escaped member twice", '{"instances": [[1, 2]], "insta\\u006eces": [[1, 2]]}', "body"),
    invalid("feature twice", '{"instances": [{"height": 1, "height": 2, "weight": 3}]}', "body"),
    invalid(
        "feature twice in the last row", f'{{"instances": [{ROW}, {{"height": 1, "weight": 2, "weight": 2}}]}}', "body"
    ),
    invalid("member twice far below", '{"instances": [[1, {"a": [{"s3cret": 1, "s3cret": 2}]}]]}', "body"),
    invalid("member twice, with quotation marks", '{"model": "\\"", "model": "\\"", "instances": [[1, 2]]}', "body"),
    invalid("member twice, both deep", '{"a": ' + "[" * 1020 + "]" * 1020 + ', "a": 1}', "body"),
    invalid("33 levels", nested(33), "instances[0]"),
    invalid("33 levels with texts", nested(33).replace("1", f'"{MARK}"'), "body"),
    invalid("33 levels of objects", '{"a":' * 33 + "1" + "}" * 33, "body"),
    invalid("2000 levels", nested(2000), "body"),
    invalid("30000 levels", nested(30_000), "body"),
    invalid("30000 opening brackets", "[" * 30_000, "body"),
    invalid("1e999", '{"instances": [[1.0, 1e999]]}', "body"),
    invalid("-1e999", '{"instances": [[1.0, -1e999]]}', "body"),
    invalid("400 digits", '{"instances": [[1.0, ' + "9" * 400 + "]]}", "body"),
    Case(
        "sensitivity of NaN", 400, "malformed-request", '{"instances": [[1, NaN]]}', path="/sensitivity", place="body"
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_every_failure_has_its_status_in_the_one_shape(client: httpx.AsyncClient, case: Case) -> None:
    await assert_refused(client, case)


async def test_a_body_cut_off_at_any_byte_is_refused(client: httpx.AsyncClient) -> None:
    whole = b'{"instances": [[1.5, -2e1], {"height": 1.0, "weight": 0.25}], "model": "toy", "noise_scale": 2.0}'
    assert (await client.post("/predict", content=whole, headers=JSON)).status_code == 200
    for length in range(len(whole)):
        response = await client.post("/predict", content=whole[:length], headers=JSON)
        assert response.status_code == 400, whole[:length]


async def test_every_byte_changed_is_never_a_5xx(client: httpx.AsyncClient) -> None:
    whole = b'{"instances": [[1.5, -2e1]], "model": "toy", "noise_scale": 2.0}'
    for at in range(len(whole)):
        for byte in (0x00, 0x22, 0x5C, 0x7B, 0x5D, 0x39, 0x65, 0xFF):
            response = await client.post("/predict", content=whole[:at] + bytes([byte]) + whole[at + 1 :], headers=JSON)
            assert response.status_code < 500


async def test_32_levels_are_read(client: httpx.AsyncClient) -> None:
    # Not an input of the model, but read: the refusal is about the row.
    for text in ("1", '"a"'):
        response = await client.post("/predict", content=nested(32).replace("1", text), headers=JSON)
        assert_problem(response, 422, "invalid-input", "instances[0]")


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_streamed_body_is_counted(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 10_000

    response = await client.post("/predict", content=endless(), headers=JSON)
    assert_problem(response, 413, "too-large", "body")
    assert "content-length" not in response.request.headers
    assert sent <= 8  # of 64 KiB


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_compressed_bytes_count_even_where_they_say_nothing(client: httpx.AsyncClient, encoding: str) -> None:
    whole = orjson.dumps(question())
    packed = gzip.compress(whole) if encoding == "gzip" else zlib.compress(whole)
    received = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal received
        yield packed
        while received < 100:  # of a bound of 7
            received += 1
            yield b"\x00" * 10_000

    response = await client.post("/predict", content=endless(), headers={**JSON, "Content-Encoding": encoding})
    assert_problem(response, 413, "too-large", "body")
    assert received <= 8


@pytest.mark.parametrize(
    ("declared", "status"), [("5", 200), ("70000", 413), ("9" * 5000, 413), ("-1", 200), ("x", 200)]
)
async def test_content_length_may_lie(client: httpx.AsyncClient, declared: str, status: int) -> None:
    body = orjson.dumps(question())
    response = await client.post("/predict", content=chunks(body), headers={**JSON, "Content-Length": declared})
    assert response.status_code == status


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_compressed_bodies_are_read(client: httpx.AsyncClient, pack: Any, size: int) -> None:
    encoding = "gzip" if pack is gzip.compress else "deflate"
    packed = pack(orjson.dumps(question()))
    parts = [packed[at : at + size] for at in range(0, len(packed), size)]
    response = await client.post("/predict", content=chunks(*parts), headers={**JSON, "Content-Encoding": encoding})
    assert response.status_code == 200
    assert response.json() == (await client.post("/predict", json=question())).json()


async def test_an_encoding_is_what_it_says(client: httpx.AsyncClient) -> None:
    whole = orjson.dumps(question())
    for encoding, packed, status in (
        ("x-gzip", gzip.compress(whole), 200),
        ("x-gzip", zlib.compress(whole), 400),
        ("gzip", zlib.compress(whole), 400),
        (" GZIP ", gzip.compress(whole), 200),
        ("deflate", gzip.compress(whole), 200),  # as some clients call it
        ("identity", whole, 200),
    ):
        headers = {**JSON, "Content-Encoding": encoding}
        assert (await client.post("/predict", content=packed, headers=headers)).status_code == status, encoding


async def test_exactly_the_limit_is_read(client: httpx.AsyncClient) -> None:
    body = orjson.dumps(question())
    padded = body + b" " * (65536 - len(body))
    for content, headers in ((padded, JSON), (gzip.compress(padded), {**JSON, "Content-Encoding": "gzip"})):
        assert (await client.post("/predict", content=content, headers=headers)).status_code == 200
    assert (await client.post("/predict", content=padded + b" ", headers=JSON)).status_code == 413
    packed = gzip.compress(padded + b" ")
    response = await client.post("/predict", content=packed, headers={**JSON, "Content-Encoding": "gzip"})
    assert response.status_code == 413


async def test_quotation_marks_in_texts_are_no_duplicates(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", content='{"instances": [[1, 2]], "model": "a\\"b"}', headers=JSON)
    assert_problem(response, 404, "unknown-model", "model")
