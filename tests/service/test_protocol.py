"""Connections that hold on without asking anything are ended: real uvicorn, raw sockets."""

import asyncio
import contextlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from chainzrule.service import protocol
from chainzrule.service.framing import HEADERS
from chainzrule.service.protocol import BoundedProtocol, sweep
from tests.processes import ROOT, free_port

pytestmark = pytest.mark.anyio

ANSWER = b"x" * 2**24
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = REQUEST[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = ANSWER if scope["path"] == "/large" else b"ok"
    if scope["path"] in ("/headers", "/echo"):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        if scope["path"] == "/headers":
            body = b" ".join(name for name, _ in scope["headers"])
    if scope["path"] == "/slow":
        await asyncio.sleep(2.5)  # longer than a connection may idle
    if scope["path"] == "/later":
        await asyncio.sleep(0.5)
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.4)
    monkeypatch.setattr(protocol, "WRITE_SECONDS", 0.4)
    monkeypatch.setattr(protocol, "SWEEP_SECONDS", 0.05)
    number = free_port()
    config = uvicorn.Config(
        application,
        port=number,
        http=BoundedProtocol,
        log_config=None,
        lifespan="off",
        ws="none",
        timeout_keep_alive=2,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    sweeping = asyncio.create_task(sweep(server.server_state.connections, 2**25))
    yield number
    sweeping.cancel()
    server.should_exit = True
    await serving


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def closed_within(reader: asyncio.StreamReader, seconds: float) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), seconds) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n"])
async def test_a_header_that_never_ends_ends_the_connection(port: int, begun: bytes) -> None:
    async with connected(port) as (reader, writer):
        writer.write(begun)
        assert await closed_within(reader, 3)


async def test_a_header_that_trickles_does_not_start_the_clock_anew(port: int) -> None:
    async with connected(port) as (reader, writer):
        with contextlib.suppress(OSError):
            for byte in REQUEST[:-4] * 3:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.05)
        assert await closed_within(reader, 1)


async def test_an_answered_connection_may_ask_again_later(port: int) -> None:
    async with connected(port) as (reader, writer):
        for _ in range(2):
            writer.write(REQUEST)
            assert b"200 OK" in await reader.readuntil(b"ok")
            await asyncio.sleep(0.8)


async def test_an_answered_connection_is_not_kept_for_ever(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(REQUEST)
        assert b"200 OK" in await reader.readuntil(b"ok")
        assert not await closed_within(reader, 1)
        assert await closed_within(reader, 4)


async def test_a_request_that_began_before_the_last_answer_has_its_time(port: int) -> None:
    slow = REQUEST.replace(b"/ ", b"/slow ")
    async with connected(port) as (reader, writer):
        writer.write(REQUEST + slow[:10])
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\nok")
        writer.write(slow[10:])
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\nok")


async def test_a_slow_request_on_a_connection_used_before_is_answered(port: int) -> None:
    slow = REQUEST.replace(b"/ ", b"/slow ")  # it takes longer than a connection may idle
    async with connected(port) as (reader, writer):
        writer.write(REQUEST)
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\nok")
        await asyncio.sleep(0.2)  # the sweep sees it idle
        for _ in range(2):
            writer.write(slow)
            assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 10)


async def test_a_client_that_does_not_read_is_let_go(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(REQUEST.replace(b"/ ", b"/large "))
        await asyncio.sleep(1.5)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while chunk := await asyncio.wait_for(reader.read(2**20), 3):
                received += len(chunk)
        assert received < len(ANSWER)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"A: " + b"b" * 2**17 + b"\r\n", id="one long header"),
        pytest.param(b"A: b\r\n" * (HEADERS + 1), id="many headers"),
    ],
)
async def test_too_large_a_header_is_400(port: int, header: bytes) -> None:
    async with connected(port) as (reader, writer):
        writer.write(REQUEST[:-2] + header[: 2**16 + 2**14])
        await writer.drain()
        await asyncio.sleep(0.05)
        with contextlib.suppress(ConnectionError):
            writer.write(header[2**16 + 2**14 :] + b"\r\n")
            assert b"400 Bad Request" in await asyncio.wait_for(reader.read(2**12), 3)


@pytest.mark.parametrize(
    "trailers",
    [
        pytest.param(b"A: " + b"b" * 2**21, id="one long trailer"),
        pytest.param(b"A: b\r\n" * 2**18, id="many trailers"),
    ],
)
async def test_too_large_trailers_end_the_connection(port: int, trailers: bytes) -> None:
    async with connected(port) as (reader, writer):
        writer.write(CHUNKED.replace(b"/ ", b"/echo ") + b"0\r\n" + trailers)
        with contextlib.suppress(ConnectionError):
            assert b"400 Bad Request" in await asyncio.wait_for(reader.read(), 3)


async def test_trailers_are_not_taken_for_headers(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(CHUNKED.replace(b"/ ", b"/headers ") + b"1\r\nx\r\n0\r\nAuthorization: no\r\n\r\n")
        assert b"content-length: 22\r\n" in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(22) == b"host transfer-encoding"


@pytest.mark.parametrize(
    ("request_", "times"),
    [
        pytest.param(REQUEST[:-2] + b"A: " + b"b" * 10_000 + b"\r\n\r\n", 12, id="no bodies"),
        pytest.param(REQUEST[:-2] + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000, 8, id="large bodies"),
        pytest.param(CHUNKED + b"186a0\r\n" + b"x" * 100_000 + b"\r\n0\r\n\r\n", 8, id="large chunks"),
    ],
)
async def test_what_is_sent_along_does_not_count_as_header(port: int, request_: bytes, times: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(request_ * times + request_[:20])  # cut in the middle of a header, as reads do
        for _ in range(times):
            assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 3)
        writer.write(request_[20:])
        assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 3)


@pytest.mark.parametrize("cut", [0, 20, -100, -50], ids=["whole", "in the header", "at the body", "in the body"])
async def test_upgrades_are_passed_over(port: int, cut: int) -> None:
    request = (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 100\r\n\r\n"
        + b"x" * 100
    )
    async with connected(port) as (reader, writer):
        for again in range(3):
            writer.write(request[:cut])
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.write(request[cut:] + (REQUEST if again else b""))
            assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
            assert await reader.readexactly(100) == b"x" * 100
            if again:
                assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 3)


async def test_connections_beyond_the_bound_are_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "max_connections", 1)
    async with connected(port) as (first, writer):
        writer.write(REQUEST)
        assert b"200 OK" in await first.readuntil(b"ok")
        async with connected(port) as (second, _):
            assert await closed_within(second, 0.3)
        writer.write(REQUEST)
        assert b"200 OK" in await first.readuntil(b"ok")


@pytest.mark.parametrize(("descriptors", "connections"), [(1000, 936), (80, 16), (40, 16)])
def test_the_bound_leaves_file_descriptors_for_the_rest(descriptors: int, connections: int) -> None:
    limits = f"resource.setrlimit(resource.RLIMIT_NOFILE, ({descriptors}, {descriptors + 1000}))"
    found = "from chainzrule.service.protocol import BoundedProtocol; print(BoundedProtocol.max_connections)"
    command = [sys.executable, "-c", f"import resource; {limits}; {found}"]
    assert int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout) == connections


async def asked(port: int, *parts: bytes, pause: float = 0.0, close: bool = True) -> tuple[list[int], bytes]:
    """Send bytes, close the sending side, and read to the end: the statuses, and the rest of the last answer."""
    async with connected(port) as (reader, writer):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        if close:
            writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 10)
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", answer)], answer


SLOW = REQUEST.replace(b"/ ", b"/slow ")
LATER = REQUEST.replace(b"/ ", b"/later ")
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" + b"x" * 100


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        pytest.param(POST, [200], id="a body"),
        pytest.param(REQUEST, [200], id="no body"),
        pytest.param(SLOW, [200], id="an answer that takes longer than a connection may idle"),
        pytest.param(POST * 3 + LATER, [200] * 4, id="pipelined"),
        pytest.param(POST.replace(b"1.1", b"1.0"), [200], id="HTTP/1.0"),
        pytest.param(CHUNKED.replace(b"/ ", b"/echo ") + b"1\r\nx\r\n0\r\n\r\n", [200], id="chunked"),
        pytest.param(LATER + POST + POST[:-1], [200, 200], id="the last one incomplete"),
        pytest.param(LATER + REQUEST[:10], [200], id="the last header incomplete"),
        pytest.param(POST[:-1], [], id="a body that is incomplete"),
        pytest.param(REQUEST[:10], [], id="a header that is incomplete"),
        pytest.param(b"", [], id="nothing"),
    ],
)
async def test_a_client_that_closes_its_half_has_all_its_answers(port: int, sent: bytes, statuses: list[int]) -> None:
    assert (await asked(port, sent))[0] == statuses


async def test_a_client_that_closes_while_it_waits_has_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await asked(port, LATER, pause=0.3))[0] == []
    monkeypatch.setattr(protocol, "HALF_CLOSE_SECONDS", 60.0)
    assert (await asked(port, LATER, pause=0.3))[0] == [200]


@pytest.mark.parametrize(
    "garbage", [b"\x00\xffgarbage\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n"]
)
@pytest.mark.parametrize("before", [(), (REQUEST,), (LATER,), (REQUEST, LATER, POST)], ids=len)
async def test_what_came_before_garbage_is_answered(port: int, before: tuple[bytes, ...], garbage: bytes) -> None:
    sent = b"".join(before) + garbage + b"Host: a\r\n\r\n"
    refused = 405 if garbage.startswith(b"CONNECT") else 400
    assert (await asked(port, sent + b"more" * 1000, close=False))[0] == [200] * len(before) + [refused]


async def test_a_request_whose_body_is_broken_is_refused_behind_the_answers_before(port: int) -> None:
    broken = CHUNKED.replace(b"/ ", b"/echo ") + b"zz\r\n"
    assert (await asked(port, broken, close=False))[0] == [400]
    assert (await asked(port, LATER + POST + broken, close=False))[0] == [200, 200, 400]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n", 400, id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400, id="two hosts"),
        pytest.param(b"GET / HTTP/1.0\r\n", 200, id="no host in HTTP/1.0"),
        pytest.param(b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n", 400, id="two hosts in HTTP/1.0"),
        pytest.param(b"GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n", 200, id="an empty host"),
        pytest.param(b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n", 405, id="CONNECT"),
        pytest.param(b"CONNECT /path HTTP/1.1\r\nHost: a\r\n", 405, id="CONNECT to a path"),
        pytest.param(
            b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n", 405, id="CONNECT and upgrade"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: a\r\nHost: b\r\n", 400, id="upgrade"
        ),
        pytest.param(b"TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", 200, id="any other method"),
    ],
)
async def test_headers_that_are_refused(port: int, head: bytes, status: int, caplog: pytest.LogCaptureFixture) -> None:
    statuses, answer = await asked(port, head + b"\r\n", close=False)
    assert statuses == [status]
    assert b"connection: close" in answer or b"HTTP/1.0" in head  # which closes without saying so
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    "encodings", [b"gzip, chunked", b"identity", b"chunked, identity", b"chunked\r\nTransfer-Encoding: chunked", b"x"]
)
async def test_transfer_encodings_other_than_chunked_are_refused(port: int, encodings: bytes) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + encodings
    statuses, _ = await asked(port, head + b"\r\n\r\n1\r\nx\r\n0\r\n\r\n", close=False)
    assert statuses in ([400], [501])
    both = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"
    assert (await asked(port, both + b"1\r\nx\r\n0\r\n\r\n", close=False))[0] == [400]


async def test_chunked_may_be_written_in_any_case_and_trailers_change_nothing(port: int) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
    trailers = b"1\r\nx\r\n0\r\nHost: b\r\nExpect: 100-continue\r\n\r\n"
    assert (await asked(port, (head + trailers) * 2))[0] == [200, 200]


def in_chunks(size: int, count: int) -> bytes:
    return CHUNKED.replace(b"/ ", b"/echo ") + b"%x\r\n%b\r\n" % (size, b"x" * size) * count + b"0\r\n\r\n"


async def test_a_body_may_have_any_number_of_chunks_but_not_of_tiny_ones(port: int) -> None:
    most = protocol.SMALL_CHUNKS - 1  # the end of the body is a chunk too
    assert (await asked(port, in_chunks(1, most) * 2))[0] == [200, 200]  # each body for itself
    assert (await asked(port, in_chunks(protocol.CHUNK_BYTES, 4 * most)))[0] == [200]
    for size, count in ((1, most + 1), (protocol.CHUNK_BYTES - 1, 4 * most)):
        async with connected(port) as (reader, writer):
            writer.write(in_chunks(size, count))
            with contextlib.suppress(ConnectionError):  # what was not read yet may reset it
                assert b"400 Bad Request" in await asyncio.wait_for(reader.read(), 3)


async def test_a_client_that_waits_to_be_asked_for_the_body_is_asked(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(POST[:-100].replace(b"Host: a", b"Host: a\r\nExpect: 100-Continue"))
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(POST[-100:])
        assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)


async def test_a_client_that_does_not_read_its_last_answer_is_let_go(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(REQUEST.replace(b"/ ", b"/large ").replace(b"1.1", b"1.0"))
        await asyncio.sleep(4)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while chunk := await asyncio.wait_for(reader.read(2**20), 3):
                received += len(chunk)
        assert received < len(ANSWER)
