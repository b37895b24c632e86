"""Every failure: its status, in the one shape, and never with what was sent."""

import asyncio
import gzip
import inspect
import json
import random
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import orjson
import pytest

from chainzrule.service import errors
from chainzrule.service.api.problems import PROBLEMS, problem_of
from chainzrule.service.api.schemas import Problem
from chainzrule.service.errors import ServiceError
from tests.artifacts import CLASSIFIER
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio
JSON = {"Content-Type": "application/json"}
MARK = "s3cret"
ROW = "[1.0, 2.0]"


@dataclass(frozen=True)
class Case:
    """A request that must fail."""

    name: str
    status: int
    slug: str
    body: Any = None  # text, bytes, or something to be written as JSON
    method: str = "POST"
    path: str = "/predict"
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    place: str | None = None

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (
            self.body.encode() if isinstance(self.body, str) else b"" if self.body is None else orjson.dumps(self.body)
        )


def malformed(name: str, body: str | bytes, place: str | None = "body") -> Case:
    return Case(name, 400, "malformed-request", body, place=place)


def invalid(name: str, body: Any, place: str | None, slug: str = "invalid-input") -> Case:
    return Case(name, 422, slug, body, place=place)


def nested(levels: int) -> str:
    return '{"instances": ' + "[" * (levels - 1) + "1" + "]" * (levels - 1) + "}"


def question(**members: Any) -> dict[str, Any]:
    return {"instances": [[1.0, 2.0]], **members}


def sensitivity(query: str, status: int, slug: str, place: str | None) -> Case:
    return Case(f"GET {query[:40]}", status, slug, None, "GET", f"/sensitivity?{query}", {}, place)


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
    malformed("byte order mark", b"\xef\xbb\xbf" + b'{"instances": [[1.0, 2.0]]}'),
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
    # 404, 405.
    Case("unknown model", 404, "unknown-model", question(model=MARK), place="model"),
    Case("empty model", 404, "unknown-model", question(model=""), place="model"),
    Case("path as model", 404, "unknown-model", question(model="../toy"), place="model"),
    Case("unknown version", 404, "unknown-version", question(version="7"), place="version"),
    Case("version by other text", 404, "unknown-version", question(version="01"), place="version"),
    Case("unknown card", 404, "unknown-model", method="GET", path=f"/models/{MARK}", headers={}, place="model"),
    Case("unknown stability", 404, "unknown-model", method="GET", path=f"/models/{MARK}/stability", place="model"),
    Case(
        "unknown card version",
        404,
        "unknown-version",
        method="GET",
        path=f"/models/toy?version={MARK}",
        place="version",
    ),
    Case("unknown route", 404, "unknown-route", method="GET", path=f"/{MARK}"),
    Case("unknown route, posted", 404, "unknown-route", question(), path=f"/predict/{MARK}"),
    Case("trailing slash", 404, "unknown-route", question(), path="/predict/"),
    Case("dots", 404, "unknown-route", method="GET", path="/models/toy/%2e%2e/%2e%2e/etc"),
    Case("wrong method", 405, "method-not-allowed", method="GET", path=f"/predict?{MARK}=1"),
    Case("DELETE", 405, "method-not-allowed", method="DELETE", path="/models/toy"),
    Case("odd method", 405, "method-not-allowed", method="S3CRET", path="/predict"),
    Case("HEAD", 405, "method-not-allowed", method="OPTIONS", path="/models"),
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
    Case("too many rows", 413, "too-large", {"instances": [[1.0, 2.0]] * 65}, place="instances"),
    Case("too many rows of nonsense", 413, "too-large", {"instances": [MARK] * 65}, place="instances"),
    Case(
        "too many rows to explain",
        413,
        "too-large",
        {"instances": [[1.0, 2.0]] * 17},
        path="/sensitivity",
        place="instances",
    ),
    # 415.
    Case("no content type", 415, "unsupported-media", question(), headers={"Content-Type": ""}, place="Content-Type"),
    Case(
        "form",
        415,
        "unsupported-media",
        f"x={MARK}",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
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
    # 422: the document.
    invalid("list", "[]", "body"),
    invalid("null", "null", "body"),
    invalid("text as JSON", f'"{MARK}"', "body"),
    invalid("number", "1", "body"),
    invalid("no instances", "{}", "instances"),
    invalid("empty instances", {"instances": []}, "instances"),
    invalid("instances are an object", {"instances": {MARK: 1}}, "instances"),
    invalid("instances are null", {"instances": None}, "instances"),
    invalid("instances are text", {"instances": MARK}, "instances"),
    invalid("unknown member", question(**{MARK: 1}), "body"),
    invalid("sensitivity's member", question(top=1), "body"),
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
    # 422: members.
    invalid("model is a number", question(model=1), "model"),
    invalid("model is a list", question(model=[MARK]), "model"),
    invalid("version is a number", question(version=1), "version"),
    *(
        invalid(f"noise_scale {scale!r}", question(noise_scale=scale), "noise_scale")
        for scale in (0, -1, 100.1, True, MARK, None, [])
    ),
    *(invalid(f"observe {observe!r}", question(observe=observe), "observe") for observe in (0, 1, MARK, None)),
    # 422: rows.
    invalid("row is empty", {"instances": [[]]}, "instances[0]"),
    invalid("row is null", {"instances": [[1, 2], None]}, "instances[1]"),
    invalid("row is text", {"instances": [MARK]}, "instances[0]"),
    invalid("row is a number", {"instances": [1.0, 2.0]}, "instances[0]"),
    invalid("short row", {"instances": [[1, 2], [1]]}, "instances[1]"),
    invalid("long row", {"instances": [[1, 2, 3]]}, "instances[0]"),
    invalid("ragged rows", {"instances": [[1], [2, 3, 4]]}, "instances[0]"),
    invalid("nested row", {"instances": [[[1, 2]]]}, "instances[0]"),
    invalid("text for a number", {"instances": [[1, MARK]]}, "instances[0].weight"),
    invalid("text of a number", {"instances": [[1, "2"]]}, "instances[0].weight"),
    invalid("boolean for a number", {"instances": [[1, 2], [True, 2]]}, "instances[1].height"),
    invalid("null for a number", {"instances": [[1, None]]}, "instances[0].weight"),
    invalid("list for a number", {"instances": [[1, [MARK]]]}, "instances[0].weight"),
    invalid("object for a number", {"instances": [{"height": {MARK: 1}, "weight": 1}]}, "instances[0].height"),
    invalid("1e39", {"instances": [[1, 2], [1, 1e39]]}, "instances[1].weight"),
    invalid("300 digits", '{"instances": [[1.0, ' + "9" * 300 + "]]}", "instances[0].weight"),
    invalid("missing feature", {"instances": [{"height": 1}]}, "instances[0].weight"),
    invalid("unknown feature", {"instances": [{"height": 1, "weight": 2, MARK: 3}]}, "instances[0]"),
    invalid("unknown for known", {"instances": [{"height": 1, MARK: 3}]}, "instances[0].weight"),
    invalid("other case", {"instances": [{"Height": 1, "weight": 3}]}, "instances[0].height"),
    invalid("unknown level", question(model="mixed", instances=[[1, MARK, 1, "north"]]), "instances[0].colour"),
    invalid("number for a level", question(model="mixed", instances=[[1, 1, 1, "north"]]), "instances[0].colour"),
    invalid("gap without fill", question(model="mixed", instances=[[1, "red", 1, None]]), "instances[0].site"),
    invalid("not finite", question(model="bent", instances=[[1e20, 1]]), "instances[0]", "non-finite-output"),
    # Headers.
    *(
        Case(
            f"timeout {text!r}",
            422,
            "invalid-input",
            question(),
            headers={**JSON, "X-Request-Timeout": text},
            place="X-Request-Timeout",
        )
        for text in ("", "0", "-1", "nan", "inf", "1e999", MARK, "1s", "1_0", "0x1")
    ),
    Case("timeout too short", 504, "deadline-exceeded", question(), headers={**JSON, "X-Request-Timeout": "1e-9"}),
    # `POST /sensitivity`.
    *(
        Case(
            f"sensitivity {name}={value!r}",
            422,
            "invalid-input",
            question(**{name: value}),
            path="/sensitivity",
            place=place,
        )
        for name, value, place in (
            ("top", 0, "top"),
            ("top", 1.0, "top"),
            ("top", True, "top"),
            ("top", MARK, "top"),
            ("include", MARK, "include"),
            ("include", [MARK], "include"),
            ("include", [["layers"]], "include"),
            ("include", None, "include"),
            ("observe", False, "body"),
            ("noise_scale", 0, "noise_scale"),
        )
    ),
    Case(
        "sensitivity of NaN", 400, "malformed-request", '{"instances": [[1, NaN]]}', path="/sensitivity", place="body"
    ),
    Case(
        "sensitivity not finite",
        422,
        "non-finite-output",
        question(model="bent", instances=[[1e20, 1]]),
        path="/sensitivity",
        place="instances[0]",
    ),
    Case(
        "derivatives not finite",
        422,
        "non-finite-output",
        question(model="bent", instances=[[1e12, 1]]),
        path="/sensitivity",
        place="instances[0]",
    ),
    # `GET /sensitivity`.
    sensitivity("", 422, "invalid-input", "x"),
    sensitivity("x=", 422, "invalid-input", "x"),
    sensitivity("model=toy", 422, "invalid-input", "x"),
    sensitivity("x", 400, "malformed-request", "query"),
    sensitivity("&&", 400, "malformed-request", "query"),
    sensitivity("x=1,2&x=1,2", 422, "invalid-input", "query"),
    sensitivity(f"x=1,2&{MARK}=1", 422, "invalid-input", "query"),
    sensitivity(f"x=1,{MARK}", 422, "invalid-input", "x.weight"),
    sensitivity("x=1", 422, "invalid-input", "x"),
    sensitivity("x=1,2,3", 422, "invalid-input", "x"),
    sensitivity("x=1,", 422, "invalid-input", "x.weight"),
    sensitivity("x=1,nan", 422, "invalid-input", "x.weight"),
    sensitivity("x=1,inf", 422, "invalid-input", "x.weight"),
    sensitivity("x=1,1e999", 422, "invalid-input", "x.weight"),
    sensitivity("x=1,1_0", 422, "invalid-input", "x.weight"),
    sensitivity("x=%ff,2", 400, "malformed-request", "query"),
    sensitivity("x=%ed%a0%80,2", 400, "malformed-request", "query"),
    sensitivity("x=[1,2", 400, "malformed-request", "x"),
    sensitivity("x=[1,NaN]", 400, "malformed-request", "x"),
    sensitivity("x=[1,1e999]", 422, "invalid-input", "x"),
    sensitivity("x=" + "[" * 2000, 422, "invalid-input", "x"),
    sensitivity('x={"height":1,"height":1,"weight":2}', 422, "invalid-input", "x"),
    sensitivity('x={"height":1}', 422, "invalid-input", "x.weight"),
    sensitivity(f'x=[1,"{MARK}"]', 422, "invalid-input", "x.weight"),
    sensitivity("x=1,2&top=0", 422, "invalid-input", "top"),
    sensitivity(f"x=1,2&top={MARK}", 422, "invalid-input", "top"),
    sensitivity("x=1,2&top=-1", 422, "invalid-input", "top"),
    sensitivity("x=1,2&top=99999999999", 422, "invalid-input", "top"),
    sensitivity("x=1,2&noise_scale=0", 422, "invalid-input", "noise_scale"),
    sensitivity("x=1,2&noise_scale=1e999", 422, "invalid-input", "noise_scale"),
    sensitivity(f"x=1,2&noise_scale={MARK}", 422, "invalid-input", "noise_scale"),
    sensitivity(f"x=1,2&include={MARK}", 422, "invalid-input", "include"),
    sensitivity(f"x=1,2&model={MARK}", 404, "unknown-model", "model"),
    sensitivity("x=1,2&version=9", 404, "unknown-version", "version"),
    # The models' routes.
    Case("card with a parameter", 422, "invalid-input", method="GET", path=f"/models/toy?{MARK}=1", place="query"),
    Case(
        "card with two versions",
        422,
        "invalid-input",
        method="GET",
        path="/models/toy?version=1&version=1",
        place="query",
    ),
]


def assert_problem(response: httpx.Response, status: int, slug: str, place: str | None = None) -> None:
    """The one shape of a failure."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(response.content)
    assert problem.type == f"urn:chainzrule:problem:{slug}"
    assert problem.status == status
    assert problem.place == place
    assert problem.request_id == response.headers["x-request-id"]
    assert problem.detail
    assert MARK not in response.text.lower()
    for headers in response.headers.values():
        assert MARK not in headers.lower()
    for leak in ("Traceback", "Error(", ".py", "0x", "object at"):
        assert leak not in response.text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_every_failure_has_its_status_in_the_one_shape(client: httpx.AsyncClient, case: Case) -> None:
    response = await client.request(case.method, case.path, content=case.content, headers=case.headers)
    assert_problem(response, case.status, case.slug, case.place)


async def test_cases_cover_every_problem_that_a_request_alone_can_meet() -> None:
    # These need settings, load, no models or one without a bounds graph.
    elsewhere = {"unauthorized", "forbidden", "queue-full", "not-ready", "no-bounds"}
    assert {slug for _, slug in PROBLEMS.values()} - {case.slug for case in CASES} == elsewhere


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


def anything(rng: random.Random, depth: int = 0) -> Any:
    """Some JSON value, of the kinds and members that requests have."""
    numbers = (0, 1, -1, 0.5, 1e-320, 1e12, 1e20, 3.4e38, 1e39, 2**63, rng.gauss(0, 1), 10 ** rng.uniform(-30, 30))
    texts = ("", "red", "north", "toy", "bent", "mixed", "1", "layers", MARK)
    if depth > 3 or rng.random() < 0.6:
        return rng.choice((*numbers, *numbers, *texts, None, True))
    if rng.random() < 0.6:
        return [anything(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    names = ("instances", "model", "noise_scale", "height", "weight", "colour", MARK)
    return {name: anything(rng, depth + 1) for name in rng.sample(names, rng.randint(0, 4))}


@pytest.mark.parametrize("path", ["/predict", "/sensitivity"])
async def test_any_document_is_never_a_5xx(client: httpx.AsyncClient, path: str) -> None:
    rng = random.Random(7)
    statuses = set()
    for _ in range(400):
        model = rng.choice(["toy", "bent", "mixed", "graded", "amount", "silent"])
        row = [anything(rng, 4), rng.choice(["red", anything(rng)]), anything(rng, 4), "north"]
        document = {"instances": [row if model == "mixed" else [anything(rng, 4), anything(rng, 4)]], "model": model}
        if rng.random() < 0.5:
            document[rng.choice(["noise_scale", "version", "top", "instances", "observe", "include"])] = anything(rng)
        response = await client.post(path, content=orjson.dumps(document), headers=JSON)
        statuses.add(response.status_code)
        assert response.status_code in (200, 404, 413, 422), document
        assert MARK not in response.text
        assert "NaN" not in response.text
    assert {200, 422} <= statuses


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


async def test_a_body_that_does_not_come_runs_out_of_time(serving: Serving) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b'{"instances": '
        await asyncio.sleep(30)

    async with serving(CLASSIFIER, request_timeout=0.1) as client:
        response = await client.post("/predict", content=slow(), headers=JSON)
        assert_problem(response, 504, "deadline-exceeded", "body")


async def test_where_no_model_is_the_default_one_must_be_named(serving: Serving) -> None:
    async with serving(CLASSIFIER, replace(CLASSIFIER, name="other")) as client:
        response = await client.post("/predict", json=question())
        assert_problem(response, 422, "invalid-input", "model")
        response = await client.get("/sensitivity?x=1,2")
        assert_problem(response, 422, "invalid-input", "model")


async def test_without_any_model_there_is_none_to_name(serving: Serving) -> None:
    async with serving() as client:
        assert_problem(await client.post("/predict", json=question()), 422, "invalid-input", "model")
        assert_problem(await client.post("/predict", json=question(model="toy")), 404, "unknown-model", "model")
        assert (await client.get("/models")).json() == {"models": []}


async def test_a_model_that_is_not_ready_answers_503(serving: Serving) -> None:
    async with serving(CLASSIFIER.with_graph("model", b"no graph")) as client:
        for response in (await client.post("/predict", json=question()), await client.get("/models/toy")):
            assert_problem(response, 503, "not-ready", "model")
            assert int(response.headers["retry-after"]) >= 1
        response = await client.post("/predict", json=question(version="1"))
        assert_problem(response, 503, "not-ready", "version")


async def test_what_should_not_happen_is_500_in_the_same_shape(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for settings in ({}, {"cors_origins": ("http://elsewhere",)}):
        async with serving(CLASSIFIER, **settings) as client:

            def fail(*arguments: object) -> None:
                raise RuntimeError("s3cret of the machine")

            monkeypatch.setattr(client.app.context.catalog, "resolve", fail)  # type: ignore[attr-defined]
            for response in (await client.post("/predict", json=question()), await client.get("/models/toy")):
                assert_problem(response, 500, "internal-error")
    assert "s3cret of the machine" in caplog.text  # the log has the cause


# The tree.


def leaves(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for child in kind.__subclasses__():
        yield child
        yield from leaves(child)


NEVER_MET_BY_A_REQUEST = {errors.ArtifactError, errors.DeviceError}


def test_every_error_a_request_can_meet_has_a_status() -> None:
    own = {kind for kind in leaves(ServiceError) if kind.__module__ == "chainzrule.service.errors"}
    assert set(PROBLEMS) == own - NEVER_MET_BY_A_REQUEST
    slugs = [slug for _, slug in PROBLEMS.values()]
    assert len(set(slugs)) == len(slugs)
    assert {status for status, _ in PROBLEMS.values()} <= {400, 401, 403, 404, 413, 415, 422, 429, 503, 504}


def test_the_tree_is_drawn_in_the_docstring() -> None:
    drawn = str(errors.__doc__)
    for kind in leaves(ServiceError):
        if kind.__module__ == "chainzrule.service.errors":
            assert f"── {kind.__name__} " in drawn
            assert inspect.getdoc(kind)


@pytest.mark.parametrize("kind", sorted(NEVER_MET_BY_A_REQUEST, key=lambda kind: kind.__name__))
async def test_errors_without_a_status_are_500_and_tell_nothing(kind: type[ServiceError]) -> None:
    response = problem_of(kind("s3cret place on the disk"))
    assert response.status_code == 500
    assert b"s3cret" not in bytes(response.body)


@pytest.mark.parametrize("kind", list(PROBLEMS), ids=lambda kind: kind.__name__)
async def test_errors_become_problems(kind: type[ServiceError]) -> None:
    response = problem_of(kind("what to do", "here"))
    status, slug = PROBLEMS[kind]
    content = json.loads(bytes(response.body))
    assert response.status_code == content["status"] == status
    assert content["type"].endswith(slug)
    assert (content["detail"], content["place"]) == ("what to do", "here")
    assert ("retry-after" in response.headers) == (status in (429, 503))
    assert ("www-authenticate" in response.headers) == (status == 401)
