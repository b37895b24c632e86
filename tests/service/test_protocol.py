"""Connections that hold on without asking anything are ended: real uvicorn, raw sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from service import protocol
from service.protocol import HEADERS, BoundedProtocol, sweep
from tests.processes import free_port

pytestmark = pytest.mark.anyio

ANSWER = b"x" * 2**24
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = ANSWER if scope["path"] == "/large" else b"ok"
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
    sweeping = asyncio.create_task(sweep(server.server_state.connections))
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
        with contextlib.suppress(OSError):
            writer.write(header[2**16 + 2**14 :] + b"\r\n")
            assert b"400 Bad Request" in await asyncio.wait_for(reader.read(2**12), 3)


async def test_connections_beyond_the_bound_are_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "max_connections", 1)
    async with connected(port) as (first, writer):
        writer.write(REQUEST)
        assert b"200 OK" in await first.readuntil(b"ok")
        async with connected(port) as (second, _):
            assert await closed_within(second, 0.3)
        writer.write(REQUEST)
        assert b"200 OK" in await first.readuntil(b"ok")
