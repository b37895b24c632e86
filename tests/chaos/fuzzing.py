"""Requests that are wrong in every way that a generator can think of: in their JSON, tensors, headers and bytes."""

import gzip
import json
import random
import zlib
from dataclasses import dataclass
from typing import Any

from tests.artifacts import IMAGE, MIXED, Toy
from tests.damage import ODD, damaged_bytes, damaged_document
from tests.service.api.oip.fuzzer import TOYS, Fuzzer

MEMBERS: dict[str, list[Any]] = {
    "model": ["toy", "mixed", "absent", ""],
    "version": ["1", "2", "01", "-1", "1e9"],
    "noise_scale": [0.5, 100, 101, 0, -1, 1e-300],
    "observe": [True, False],
    "measure": [True, False],
    "top": [1, 0, 10**9],
    "include": [["jacobian"], ["layers"], ["jacobian", "layers"], ["x"]],
    "method": ["analytic", "monte_carlo", "finite_difference"],
    "draws": [2, 100, 1, 10**9],
    "seed": [0, 2**31, 2**63],
    "radius": [0.5, 0, 1e9],
    "box": [{"height": 0.1}, {"height": [0, 1]}, {"absent": 1}, {"height": [1, 0]}],
}
PATHS = [
    "/", "/predict", "/predict/", "/sensitivity", "/models", "/models/toy", "/models/toy/stability", "/models/absent",
    "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/ui/", "/ui/../../etc/passwd", "/v2", "/v2/",
    "/v2/health/live", "/v2/health/ready", "/v2/models/toy", "/v2/models/toy/config", "/v2/models/toy/stats",
    "/v2/models/stats", "/v2/models/toy/versions/1/infer", "/v2/models/toy/infer", "/v2/repository/index",
    "/v2/repository/models/toy/unload", "/v2/repository/models/toy/load", "//", "/%00", "/%ff%fe", "/predict?x=1", "*",
    "/models/%2e%2e%2fetc", "/" + "a" * 3000, "/sensitivity?model=toy&x=1,2", "/sensitivity?model=toy&x=",
    "/sensitivity?model=toy&x=%7B%7D&x=1", "/models/toy?version=1",
    "/sensitivity?model=mixed&x=1,red,,north&include=layers&top=2", "/models/toy?version=%F0%9F%98%80",
    "http://localhost/predict",
]  # fmt: skip
METHODS = [
    "GET",
    "GET",
    "GET",
    "POST",
    "POST",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "PROPFIND",
]
HEADERS: dict[str, list[str]] = {
    "Content-Type": ["application/json", "application/octet-stream", "text/plain", "", "application/json; charset=x"],
    "Content-Encoding": ["gzip", "deflate", "br", "identity", "gzip, gzip", "x-gzip"],
    "Accept": ["*/*", "text/html", "application/openmetrics-text", "application/vnd.google.protobuf", "q=;"],
    "Accept-Encoding": ["gzip", "identity;q=0, *;q=0", "gzip;q=x", ""],
    "X-Request-ID": ["abc", "a" * 129, "a b", "\xe9"],
    "X-Request-Timeout": ["0.0000001", "5", "0", "-1", "nan", "1e999", "x"],
    "Authorization": ["Bearer x", "Basic eA==", "Bearer", "\xff"],
    "Inference-Header-Content-Length": ["0", "5", "-1", "99999999999", "x", "1_0", "\u00b2"],
    "Origin": ["https://evil.example", "null", "http://localhost"],
    "Access-Control-Request-Method": ["POST", "x"],
    "Expect": ["100-continue-not"],
    "Connection": ["keep-alive", "close", "Upgrade", "keep-alive, Upgrade", "x"],
    "Upgrade": ["h2c", "websocket"],
    "Range": ["bytes=0-1"],
    "If-None-Match": ["*", '"x"'],
    "If-Modified-Since": ["Thu, 01 Jan 1970 00:00:00 GMT", "x"],
    "X-Forwarded-For": ["1.2.3.4", "x"],
    "traceparent": ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x"],
    "Cookie": ["a=b"],
    "X-Odd": ["\x80\x81", " ", "a" * 5000],
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One request; if it is not well-formed, nobody knows how many answers it gets."""

    kind: str
    request: bytes
    well_formed: bool


class Cases:
    """Draws requests for the models that are called as in `TOYS`."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._fuzzer = Fuzzer(seed)

    def draw(self) -> Case:
        """The next case."""
        kind = self._random.choices(("document", "tensors", "headers", "bytes"), (45, 25, 20, 10))[0]
        if kind == "document":
            return Case(kind, self._question(), True)
        if kind == "tensors":
            return Case(kind, self._tensors(), True)
        if kind == "headers":
            return Case(kind, self._odd_headers(), True)
        return Case(kind, self._odd_bytes(), False)

    def _question(self) -> bytes:
        """A question to /predict or /sensitivity, mostly damaged."""
        rng = self._random
        toy: Toy = rng.choice(TOYS)
        rows: list[Any] = toy.rows(rng.randint(1, 4), seed=rng.randint(0, 50)).tolist()
        if toy is MIXED:
            rows = [[row[0], "red", row[4], "north"] for row in rows]
        if toy is not IMAGE and rng.random() < 0.3:
            rows = [dict(zip((feature.name for feature in toy.features), row, strict=True)) for row in rows]
        document: dict[str, Any] = {"model": toy.name, "instances": rows}
        for name in rng.sample(sorted(MEMBERS), rng.choice((0, 0, 1, 2, 4))):
            document[name] = rng.choice([*MEMBERS[name], rng.choice(ODD)])
        text = json.dumps(document, ensure_ascii=rng.random() < 0.5).encode()
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            text = damaged_document(rng, text) if rng.random() < 0.5 else damaged_bytes(rng, text)
        headers = {"Content-Type": "application/json"}
        if rng.random() < 0.1:
            text, headers["Content-Encoding"] = self._packed(text)
        return self._request("POST", rng.choice(("/predict", "/predict", "/sensitivity")), headers, text)

    def _tensors(self) -> bytes:
        """A request of the open inference protocol, damaged."""
        model, body, headers = self._fuzzer.request()
        headers = dict(headers)
        if self._random.random() < 0.05:
            body, headers["Content-Encoding"] = self._packed(body)
        return self._request("POST", f"/v2/models/{model}/infer", headers, body)

    def _odd_headers(self) -> bytes:
        """A request whose header is unusual but well-formed."""
        rng = self._random
        body = rng.choice((b"", b'{"model":"toy","instances":[[1.0,2.0]]}', b"{}", rng.randbytes(9)))
        names = rng.sample(sorted(HEADERS), rng.randint(0, 6))
        headers = {name: rng.choice(HEADERS[name]) for name in names}
        return self._request(rng.choice(METHODS[:-1]), rng.choice(PATHS), headers, body)

    def _odd_bytes(self) -> bytes:
        """Anything from a request with a byte missing to noise, with or without another request behind it."""
        rng = self._random
        sent = rng.choice((self._question, self._tensors, self._odd_headers))()
        if rng.random() < 0.3:
            sent = sent.replace(
                b"Content-Length:", rng.choice((b"Content-length :", b"Transfer-Encoding: chunked\r\nX:", b"X:"))
            )
        if rng.random() < 0.3:
            sent = sent.replace(b"Host: localhost\r\n", rng.choice((b"", b"Host: a\r\nHost: b\r\n", b"Host:\r\n")))
        if rng.random() < 0.1:
            sent = sent.replace(sent.split(b" ")[0], rng.choice((b"CONNECT", b"PRI", b"get", b"", b"PROPFIND")), 1)
        for _ in range(rng.choice((0, 1, 2, 5))):
            sent = damaged_bytes(rng, sent)
        if rng.random() < 0.2:
            sent += rng.choice((sent, b"garbage", b"\r\n", b"0\r\n\r\n"))
        return sent

    def _packed(self, text: bytes) -> tuple[bytes, str]:
        """A body that is compressed, mostly rightly."""
        rng = self._random
        packed, encoding = (gzip.compress(text, 1), "gzip") if rng.random() < 0.5 else (zlib.compress(text), "deflate")
        return (damaged_bytes(rng, packed) if rng.random() < 0.3 else packed), encoding

    def _request(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
