"""Which headers are refused, and with what words. `test_protocol.py` sends them."""

import contextlib
from typing import Any

import httptools
import pytest

from chainzrule.service.framing import HEADERS, Fault, fault_of, refusal


def parsed(head: bytes) -> Any:
    parser = httptools.HttpRequestParser(object())
    with contextlib.suppress(httptools.HttpParserUpgrade):
        parser.feed_data(head + b"\r\n\r\n")
    return parser


def test_what_is_usual_has_no_fault() -> None:
    assert fault_of(parsed(b"GET / HTTP/1.1\r\nHost: a"), 1, 1, ()) is None
    assert fault_of(parsed(b"POST / HTTP/1.1\r\nHost: a"), HEADERS, 1, (b"CHUNKED",)) is None
    assert fault_of(parsed(b"GET / HTTP/1.0"), 0, 0, ()) is None


@pytest.mark.parametrize(
    ("head", "headers", "hosts", "encodings", "status"),
    [
        (b"GET / HTTP/1.1", HEADERS + 1, 1, (), 400),
        (b"GET / HTTP/1.1", 0, 0, (), 400),
        (b"GET / HTTP/1.0", 2, 2, (), 400),
        (b"POST / HTTP/1.1", 2, 1, (b"gzip, chunked",), 501),
        (b"POST / HTTP/1.1", 3, 1, (b"chunked", b"chunked"), 501),
        (b"CONNECT a:1 HTTP/1.1", 1, 1, (), 405),
    ],
)
def test_faults(head: bytes, headers: int, hosts: int, encodings: tuple[bytes, ...], status: int) -> None:
    fault = fault_of(parsed(head), headers, hosts, encodings)
    assert fault is not None
    assert fault[0] == status


@pytest.mark.parametrize("fault", [(400, "No."), (405, "Nor this.")])
def test_a_refusal_is_a_whole_answer(fault: Fault) -> None:
    head, _, body = refusal(fault, [(b"date", b"today")]).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 %d " % fault[0])
    assert {b"date: today", b"connection: close", b"content-length: %d" % len(body)} <= set(lines)
    assert body == fault[1].encode()
    assert (b"allow: GET, HEAD, POST" in lines) == (fault[0] == 405)
