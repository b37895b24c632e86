"""What arrives is read at a pace: requests sent ahead of answers wait as bytes, and large uploads take turns."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from chainzrule.service import protocol
from chainzrule.service.api.sending import send_body
from chainzrule.service.paced import PIECE
from chainzrule.service.protocol import BoundedProtocol, sweep
from chainzrule.service.turns import Turns
from tests.certificates import Authority
from tests.processes import free_port

pytestmark = pytest.mark.anyio

SMALL = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = 2**25  # bytes, which no sockets take at once
MANY = 3000  # requests of which a piece holds few


class Application:
    """Answers with the path, once it is let, and with the length of the body."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked: list[str] = []
        self.connections: set[Any] = set()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        size, more = 0, scope["method"] == "POST" and scope["path"] != "/refused"
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        await self.go.wait()
        body = b"x" * LARGE if scope["path"] == "/large" else f"{scope['path']} {size};".encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send_body(send, {"type": "http.response.body", "body": body})

    @property
    def waiting(self) -> int:
        """How many requests wait as objects behind one that is being answered."""
        return sum(len(connection.pipeline) for connection in self.connections)


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[Application, int]]:
    """An application and its port; the connections share their turns."""
    application, port, turns = Application(), free_port(), Turns()

    class Shared(BoundedProtocol):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named, turns=turns)

    config = uvicorn.Config(application, port=port, http=Shared, log_config=None, lifespan="off", ws="none", **options)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    application.connections = server.server_state.connections
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield application, port
    application.go.set()
    server.should_exit = True
    await running


@pytest.fixture
async def served() -> AsyncIterator[tuple[Application, int]]:
    async with serving() as made:
        yield made


async def answered(reader: asyncio.StreamReader, count: int) -> list[str]:
    """The contents of so many answers."""
    found = []
    for _ in range(count):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        assert head.startswith(b"HTTP/1.1 200 OK")
        found.append((await asyncio.wait_for(reader.readuntil(b";"), 30)).decode())
    return found


@pytest.mark.parametrize("parts", [1, 7])
async def test_requests_sent_ahead_wait_as_bytes_and_are_answered_in_order(
    served: tuple[Application, int], parts: int
) -> None:
    application, port = served
    sent = b"".join(SMALL % number for number in range(MANY))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    step = len(sent) // parts + 1
    for start in range(0, len(sent), step):
        writer.write(sent[start : start + step])
        await asyncio.sleep(0.01)
    while not application.asked:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)  # all that will be parsed is parsed
    assert application.asked == ["/0"]
    assert application.waiting <= PIECE // len(SMALL)
    (connection,) = application.connections
    found = connection.waiting()
    assert 0 < found.since <= asyncio.get_running_loop().time()
    assert PIECE < found.size < len(sent)
    application.go.set()
    assert await answered(reader, MANY) == [f"/{number} 0;" for number in range(MANY)]
    assert application.waiting == 0
    assert connection.waiting() is None
    writer.write(SMALL % MANY)
    assert await answered(reader, 1) == [f"/{MANY} 0;"]
    writer.close()


async def test_a_body_behind_a_request_that_waits_arrives_whole(served: tuple[Application, int]) -> None:
    application, port = served
    size = 40 * PIECE
    post = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" + b"x" * size
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(SMALL % 0 + post % (1, size) + post % (2, size) + SMALL % 3)
    while not application.asked:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    application.go.set()
    assert await answered(reader, 4) == ["/0 0;", f"/1 {size};", f"/2 {size};", "/3 0;"]
    writer.close()


async def test_a_header_that_is_held_back_has_its_time(
    served: tuple[Application, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of it lies here already, unread, because the first request takes long."""
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.2)
    monkeypatch.setattr(protocol, "SWEEP_SECONDS", 0.05)
    application, port = served
    sweeping = asyncio.create_task(sweep(application.connections, 2**25))
    padding = b"X: " + b"x" * 50 + b"\r\n\r\n"
    long = (SMALL % 1)[:-2] + padding
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(SMALL % 0 + long * (2 * PIECE // len(long)))
    await asyncio.sleep(0.6)
    application.go.set()
    assert len(await answered(reader, 1 + 2 * PIECE // len(long))) == 1 + 2 * PIECE // len(long)
    sweeping.cancel()
    writer.close()


async def test_garbage_is_refused_behind_the_answers_to_all_before_it(served: tuple[Application, int]) -> None:
    application, port = served
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(SMALL % number for number in range(1000)) + b"\x00garbage\r\n\r\n" + SMALL % 1000)
    writer.write_eof()
    application.go.set()
    await answered(reader, 1000)
    rest = await asyncio.wait_for(reader.read(), 30)
    assert rest.startswith(b"HTTP/1.1 400 ")
    assert rest.count(b"HTTP/1.1") == 1
    writer.close()


async def test_who_says_that_this_was_all_gets_all_answers(served: tuple[Application, int]) -> None:
    application, port = served
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(SMALL % number for number in range(1000)))
    writer.write_eof()
    await asyncio.sleep(0.5)  # longer than whoever closes its half may be late
    application.go.set()
    await answered(reader, 1000)
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()


async def test_the_rest_of_a_refused_body_takes_turns_and_costs_no_memory(served: tuple[Application, int]) -> None:
    application, port = served
    application.go.set()
    size = 8 * 2**20
    head = b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
    for _, writer in opened:
        writer.write(head + b"x" * size + SMALL % 1)
    for reader, writer in opened:
        assert await answered(reader, 2) == ["/refused 0;", "/1 0;"]
        writer.close()
    assert max((len(connection.cycle.body) for connection in application.connections), default=0) < PIECE


@pytest.mark.parametrize("encrypted", [False, True])
async def test_an_answer_that_nobody_reads_is_seen_also_where_it_is_encrypted(
    encrypted: bool, authority: Authority
) -> None:
    certificate, key = authority.issue("server")
    context = ssl.create_default_context(cafile=authority.certificate) if encrypted else None
    options = {"ssl_certfile": certificate, "ssl_keyfile": key} if encrypted else {}
    async with serving(**options) as (application, port):
        application.go.set()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=2**10)
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        (connection,) = application.connections
        async with asyncio.timeout(30):
            while (found := connection.waiting()) is None:
                await asyncio.sleep(0.01)  # until the sockets are full
        assert 0 < found.since <= asyncio.get_running_loop().time()
        assert LARGE // 4 < found.size < LARGE
        assert len(await asyncio.wait_for(reader.readexactly(LARGE), 30)) == LARGE
        while connection.waiting() is not None:
            await asyncio.sleep(0.01)
        writer.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)
