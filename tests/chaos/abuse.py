"""The kinds of abuse: what each attacking client sends, whether it ever finishes, and how it reads."""

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MEBIBYTE = 2**20
LIMIT = 8 * MEBIBYTE  # the largest body that the service takes by default
TENTH = 10_000_000  # bytes a second, of all attacking clients together


@dataclass(frozen=True)
class Abuse:
    """One kind of abuse.

    Attributes:
        message: makes what a client sends each time.
        clients: how many there are.
        bytes_a_second: what they send together.
        holds: the client leaves the message as it is and waits until the server ends the connection.
        reads: how many bytes of answers a client reads in a second; None: all, at once.
        models: how many models the repository holds; 0: the shipped ones.
    """

    message: Callable[[], bytes]
    clients: int = 100
    bytes_a_second: int = TENTH
    holds: bool = False
    reads: int | None = None
    models: int = 0


def post(body: bytes, *headers: str, path: str = "/predict", length: int | None = None) -> bytes:
    """A POST of a body; with `length`, one that announces so many bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(path: str, *headers: str) -> bytes:
    """A GET."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def zipped(body: bytes) -> bytes:
    """A POST of a body that is compressed as far as possible."""
    return post(gzip.compress(body, 9), "Content-Encoding: gzip")


def rows_behind_a_mark(size: int) -> bytes:
    r"""A body of so many bytes whose quotation marks do not add up, because of one `\"`: duplicates are looked for."""
    head, row = b'{"model":"\\"","instances":[', b'{"a":0},'
    return head + row * ((size - len(head)) // len(row) - 1) + b'{"a":0}]}'


def tiny_rows(size: int) -> bytes:
    """A body of so many bytes with as many rows as it can hold."""
    return b'{"instances":[' + b"[]," * (size // 3 - 6) + b"[]]}"


def nested(size: int) -> bytes:
    """A body of so many bytes that is nothing but brackets."""
    return b'{"instances":' + b"[" * (size // 2) + b"]" * (size // 2) + b"}"


def shallow(size: int) -> bytes:
    """A body of so many bytes whose rows are nested as deeply as is allowed."""
    row = b"[" * 29 + b"]" * 29 + b","
    return b'{"instances":[' + row * (size // len(row) - 1) + b"[]]}"


def many_members(size: int) -> bytes:
    """A body of so many bytes whose outermost object has nothing but members."""
    members = b",".join(b'"%x":0' % number for number in range(size // 10))
    return b"{" + members + b"}"


def images() -> bytes:
    """A body of almost 8 MiB that is answered: as many images as it can hold."""
    row = np.random.default_rng(0).integers(0, 256, 784).tolist()
    text = json.dumps(row, separators=(",", ":")).encode()
    count = (LIMIT - 100) // (len(text) + 1)
    return b'{"model":"digits","instances":[' + b",".join([text] * min(count, 4096)) + b"]}"


def jacobians() -> bytes:
    """A question of half a megabyte whose answer has many times its size."""
    rows = np.random.default_rng(0).integers(0, 256, (24, 784)).tolist()
    return json.dumps({"model": "digits", "instances": rows, "include": ["jacobian"]}, separators=(",", ":")).encode()


def tensors(*outputs: str) -> bytes:
    """A question of the open inference protocol with an answer of several megabytes in JSON."""
    data = np.random.default_rng(0).integers(0, 256, (240, 784)).ravel().tolist()
    question = {
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [240, 784], "data": data}],
        "outputs": [{"name": name} for name in outputs],
    }
    return json.dumps(question, separators=(",", ":")).encode()


def draws() -> bytes:
    """A small question that takes a hundred thousand runs."""
    rows = np.random.default_rng(0).integers(0, 256, (1, 784)).tolist()
    question = {"model": "digits", "instances": rows, "method": "monte_carlo", "draws": 100_000}
    return json.dumps(question, separators=(",", ":")).encode()


def unfinished_zip() -> bytes:
    """The beginning of a body that is compressed, inflates to almost 8 MiB, and never ends."""
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = packed.compress(b" " * (LIMIT - 1000)) + packed.flush(zlib.Z_SYNC_FLUSH)
    return post(body, "Content-Encoding: gzip", length=len(body) + 1000)


def empty_members(size: int) -> bytes:
    """So many bytes of gzip members that hold nothing."""
    member = gzip.compress(b"", mtime=0)
    return post(member * (size // len(member)), "Content-Encoding: gzip")


def one_byte_chunks(size: int) -> bytes:
    """A body in chunks of one byte, so many bytes in all."""
    head = post(b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    return head + b"1\r\n \r\n" * (size // 6) + b"0\r\n\r\n"


def long_header(size: int) -> bytes:
    """A request whose header has so many bytes, in as many lines as are allowed."""
    lines = [f"X-{number}: {'x' * (size // 120)}" for number in range(118)]
    return get("/healthz", *lines)


TWO_CHUNKS = 2 * MEBIBYTE
ABUSES: dict[str, Abuse] = {
    "gzip of 1,600 bytes that inflates to 1 MiB": Abuse(lambda: zipped(rows_behind_a_mark(MEBIBYTE - 8))),
    "gzip of 12 KB that inflates to 8 MiB": Abuse(lambda: zipped(rows_behind_a_mark(LIMIT - 8))),
    "a mark that makes duplicates be looked for, 1 MB": Abuse(lambda: post(rows_behind_a_mark(MEBIBYTE - 8))),
    "gzip that never ends": Abuse(unfinished_zip, clients=300, holds=True),
    "uploads that never end": Abuse(
        lambda: post(b" " * (LIMIT - 1), length=LIMIT), clients=200, bytes_a_second=20 * TENTH, holds=True
    ),
    "8 MB of images": Abuse(lambda: post(images())),
    "8 MB of images without a pause": Abuse(lambda: post(images()), clients=50, bytes_a_second=1000 * TENTH),
    "nothing but brackets": Abuse(lambda: post(nested(MEBIBYTE - 100))),
    "rows nested as deeply as is allowed": Abuse(lambda: post(shallow(MEBIBYTE - 100))),
    "many tiny rows, 1 MB": Abuse(lambda: post(tiny_rows(MEBIBYTE - 100))),
    "many tiny rows, 8 MB": Abuse(lambda: post(tiny_rows(LIMIT - 100))),
    "many members": Abuse(lambda: post(many_members(MEBIBYTE))),
    "many tiny tensors": Abuse(
        lambda: post(b'{"inputs":[' + b"{}," * 300_000 + b"{}]}", path="/v2/models/breast-cancer/infer")
    ),
    "gzip members that hold nothing": Abuse(lambda: empty_members(MEBIBYTE)),
    "chunks of one byte": Abuse(lambda: one_byte_chunks(TWO_CHUNKS)),
    "not HTTP at all": Abuse(lambda: b"\x16\x03\x01 garbage\r\n\r\n"),
    "long headers": Abuse(lambda: long_header(60_000)),
    "headers that never end": Abuse(lambda: long_header(60_000)[:-4], holds=True),
    "answers that are read slowly": Abuse(lambda: post(jacobians(), path="/sensitivity"), reads=1000),
    "small requests without pause": Abuse(lambda: get("/v2"), bytes_a_second=20_000),
    "requests before the answers to others": Abuse(lambda: get("/v2") * 5000, clients=50),
    "jacobians as tensors": Abuse(lambda: post(tensors("jacobian"), path="/v2/models/digits/infer"), clients=20),
    "all else as tensors": Abuse(
        lambda: post(tensors("probabilities", "scores", "covariance", "verdict"), path="/v2/models/digits/infer")
    ),
    "a hundred thousand draws": Abuse(lambda: post(draws(), path="/sensitivity"), clients=8),
    "scrapes of 60 models": Abuse(lambda: get("/metrics"), clients=8, models=60),
}
