"""What every request goes through: its id, disconnects, HEAD, durations and the log line."""

import asyncio
import contextlib
import gc
import json
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import Message
from uvicorn.server import ServerState

from chainzrule.service.protocol import ON_DISCONNECT, BoundedProtocol
from tests.artifacts import CLASSIFIER
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio
JSON = {"Content-Type": "application/json"}
ROW = {"instances": [[1.0, 2.0]]}
PATHS = ("/predict", "/models", "/healthz", "/nowhere")


@pytest.mark.parametrize("path", PATHS)
async def test_a_given_request_id_comes_back(client: httpx.AsyncClient, path: str) -> None:
    for identity in ("a", "trace-1.2_3", "A" * 128):
        response = await client.get(path, headers={"X-Request-ID": identity})
        assert response.headers.get_list("x-request-id") == [identity]
        if response.status_code >= 400:
            assert response.json()["request_id"] == identity


@pytest.mark.parametrize("path", PATHS)
async def test_other_request_ids_are_replaced(client: httpx.AsyncClient, path: str) -> None:
    seen = set()
    for identity in (None, "", "a b", "A" * 129, "<s3cret>", 'a"b', "é", "a;b"):
        headers = {} if identity is None else {"X-Request-ID": identity.encode()}
        response = await client.get(path, headers=headers)  # type: ignore[arg-type]
        found = response.headers["x-request-id"]
        assert found.isalnum()
        assert len(found) == 32
        seen.add(found)
    assert len(seen) == 8


async def call(app: Any, receive: Any = None, **scope: Any) -> list[Message]:
    """One request past httpx, which would mend it."""
    sent: list[Message] = []

    async def nothing() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    whole = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": "/healthz",
        "raw_path": b"/healthz", "root_path": "", "scheme": "http", "query_string": b"", "headers": [],
        "client": ("127.0.0.1", 1), "server": ("test", 80), **scope,
    }  # fmt: skip
    await app(whole, receive or nothing, send)
    return sent


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def listening(app: Any) -> AsyncIterator[Stream]:
    """A connection to an application that a real server serves, its lifespan under way already."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: BoundedProtocol(config, state, {}), "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def converse(stream: Stream, request: bytes, body: bool = True) -> tuple[bytes, bytes]:
    """The header and the body of the answer to a request; `body` false expects none, whatever its header says."""
    reader, writer = stream
    writer.write(request)
    header = await reader.readuntil(b"\r\n\r\n")
    assert header.startswith(b"HTTP/1.1 ")
    length = int(header.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    return header, await reader.readexactly(length) if body else b""


async def test_request_ids_with_a_line_break_are_replaced(client: httpx.AsyncClient) -> None:
    app = client.app  # type: ignore[attr-defined]
    for identity in (b"a\n", b"a\r\nSet-Cookie: x=1", b"\x00"):
        start = (await call(app, headers=[(b"x-request-id", identity)]))[0]
        (found,) = (value for name, value in start["headers"] if name == b"x-request-id")
        assert found.isalnum()


async def test_a_client_that_goes_away_is_counted_as_499(client: httpx.AsyncClient) -> None:
    app = client.app  # type: ignore[attr-defined]
    messages = iter([{"type": "http.request", "body": b'{"inst', "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return next(messages)

    headers = [(b"content-type", b"application/json")]
    sent = await call(app, receive, path="/predict", method="POST", headers=headers)
    assert sent[0]["status"] == 499
    line = 'chainzrule_request_duration_seconds_count{code="499",method="POST",route="/predict"} 1.0'
    assert line in (await client.get("/metrics")).text


@pytest.mark.parametrize("instances", [[[1.0, 2.0]], []], ids=["answered", "refused"])
async def test_requests_leave_nothing_to_the_garbage_collector(serving: Serving, instances: list[Any]) -> None:
    body = json.dumps({"instances": instances}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    async with serving(CLASSIFIER) as client, listening(client.app) as stream:  # type: ignore[attr-defined]

        async def ask(times: int) -> None:
            for _ in range(times):
                await converse(stream, head.encode() + body)

        await ask(5)
        gc.collect()
        gc.disable()
        try:
            await ask(50)
            assert gc.collect() < 50
        finally:
            gc.enable()


@pytest.mark.parametrize("routed", [False, True], ids=["hot", "routed"])
async def test_while_draining_connections_end_with_their_answer(serving: Serving, routed: bool) -> None:
    asked = b"GET /sensitivity?x=1,2 HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serving(CLASSIFIER, routed=routed) as client:
        app = client.app  # type: ignore[attr-defined]
        async with listening(app) as stream:
            for _ in range(2):  # a connection lasts
                header, _ = await converse(stream, asked)
                assert b"connection" not in header.lower()
            app.context.drain()
            header, content = await converse(stream, asked)
            assert b"\r\nconnection: close\r\n" in header
            assert content.endswith(b"}")
            assert await asyncio.wait_for(stream[0].read(), 5) == b""


@pytest.mark.parametrize("routed", [False, True], ids=["hot", "routed"])
async def test_requests_in_progress_are_counted_up_and_down(serving: Serving, routed: bool) -> None:
    async with serving(CLASSIFIER, routed=routed) as client:
        context = client.app.context  # type: ignore[attr-defined]
        begun, end = asyncio.Event(), asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b'{"instances": [[1.0, 2.0]]'
            begun.set()
            await end.wait()
            yield b"}"

        asking = asyncio.create_task(client.post("/predict", content=body(), headers=JSON))
        await begun.wait()
        assert context.in_progress == 1
        assert "chainzrule_requests_in_progress 2.0" in (await client.get("/metrics")).text  # it, and the scrape
        end.set()
        assert (await asking).status_code == 200
        for path in ("/healthz", "/predict", "/nowhere"):
            await client.get(path)
        assert context.in_progress == 0


async def test_who_stops_the_server_is_told_apart_from_a_client_that_leaves(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        app = client.app  # type: ignore[attr-defined]
        for gone in (False, True):
            watching: list[Any] = []
            reading = asyncio.Event()

            async def receive(reading: asyncio.Event = reading) -> Message:
                reading.set()
                await asyncio.sleep(60)
                raise AssertionError("nobody ended the request")

            asked = {"path": "/predict", "method": "POST", "headers": [(b"content-type", b"application/json")]}
            extensions = {ON_DISCONNECT: watching.append}
            task = asyncio.create_task(call(app, receive, extensions=extensions, **asked))
            await reading.wait()
            if gone:
                watching[0]()
                assert await task == []
            else:
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert app.context.in_progress == 0


# HEAD.

HEADS = (
    *(
        "/healthz",
        "/readyz",
        "/models",
        "/models/toy",
        "/models/toy/stability",
        "/sensitivity?x=1,2",
        "/",
        "/ui/app.js",
    ),
    *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/toy", "/v2/models/toy/ready"),
    *("/nowhere", "/models/nobody", "/sensitivity?x=1", "/predict"),
)


@pytest.mark.parametrize("routed", [False, True], ids=["hot", "routed"])
async def test_heads_are_the_answers_to_gets_without_their_bodies(serving: Serving, routed: bool) -> None:
    async with serving(CLASSIFIER, routed=routed) as client, listening(client.app) as stream:  # type: ignore[attr-defined]
        for path in HEADS:
            asked = f" {path} HTTP/1.1\r\nHost: a\r\nX-Request-ID: same\r\n\r\n".encode()
            head, nothing = await converse(stream, b"HEAD" + asked, body=False)
            answer, content = await converse(stream, b"GET" + asked)  # on the same connection: it begins at once
            assert nothing == b""
            assert sorted(head.split(b"\r\n")) == sorted(answer.split(b"\r\n")), path
            assert content, path
        metrics = (await client.get("/metrics")).text
    assert 'request_duration_seconds_count{code="200",method="HEAD",route="/models/{name}"} 1.0' in metrics
    assert 'request_duration_seconds_count{code="404",method="HEAD",route="unmatched"} 1.0' in metrics


# Durations.


@pytest.mark.parametrize("routed", [False, True], ids=["hot", "routed"])
async def test_durations_are_summed_and_sorted_into_buckets(
    serving: Serving, routed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    slow = 0.12  # seconds, between two buckets

    async def body() -> AsyncIterator[bytes]:
        yield b'{"instances": '
        await asyncio.sleep(slow)
        yield b"[[1.0, 2.0]]}"

    async with serving(CLASSIFIER, routed=routed, access_log=True) as client:
        registry = client.app.context.metrics.registry  # type: ignore[attr-defined]

        def read(route: str, method: str) -> tuple[float, dict[float, float]]:
            """The sum of a route's durations, and its counts by upper bound."""
            family = next(one for one in registry.collect() if one.name == "chainzrule_request_duration_seconds")
            samples = [one for one in family.samples if (one.labels["route"], one.labels["method"]) == (route, method)]
            (total,) = (one.value for one in samples if one.name.endswith("_sum"))
            return total, {float(one.labels["le"]): one.value for one in samples if "le" in one.labels}

        begin = time.perf_counter()
        response = await client.post("/predict", content=body(), headers=JSON)
        seconds = time.perf_counter() - begin
        assert response.status_code == 200
        total, counts = read("/predict", "POST")
        assert slow <= total <= seconds
        assert {bound: count for bound, count in counts.items() if not slow < bound < seconds} == {
            bound: float(bound >= seconds) for bound in counts if not slow < bound < seconds
        }
        assert min(counts) < slow < seconds < max(counts)
        (record,) = (record for record in caplog.records if record.name == "chainzrule.access")
        assert record.seconds == pytest.approx(total, abs=1e-6)  # type: ignore[attr-defined]
        await client.post("/predict", content=body(), headers=JSON)
        again, counts = read("/predict", "POST")
        assert again >= total + slow
        assert max(counts.values()) == 2
        begin = time.perf_counter()
        await client.get("/healthz")
        assert 0 < read("/healthz", "GET")[0] <= time.perf_counter() - begin


# The log.


async def test_the_access_log_is_off_by_default_and_never_has_inputs(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(CLASSIFIER) as client:
        await client.get("/sensitivity?x=1.25,2")
        assert not [record for record in caplog.records if record.name == "chainzrule.access"]
    async with serving(access_log=True) as client:
        await client.get("/sensitivity?x=s3cret&model=s3cret")
        await client.post("/predict", json={"s3cret": 1})
        await client.get("/s3cret")
        await client.request("S3CRET", "/healthz")
    records = [record for record in caplog.records if record.name == "chainzrule.access"]
    found = [(r.method, r.route, r.status) for r in records]  # type: ignore[attr-defined]
    assert found == [
        ("GET", "/sensitivity", 404),
        ("POST", "/predict", 422),
        ("GET", "unmatched", 404),
        ("OTHER", "/healthz", 405),
    ]
    own = [record for record in caplog.records if record.name.startswith("chainzrule")]
    assert not [record for record in own if "s3cret" in str(record.__dict__).lower()]


async def test_a_prefix_that_the_proxy_leaves_on(serving: Serving) -> None:
    async with serving(CLASSIFIER, root_path="/api") as client:
        for path in ("/predict", "/api/predict"):
            response = await client.post(path, json=ROW)
            assert response.status_code == 200, path
        for path in ("/models/toy", "/api/models/toy", "/api/docs", "/docs"):
            assert (await client.get(path)).status_code == 200, path
        assert (await client.get("/apis/models")).status_code == 404
        assert (await client.get("/openapi.json")).json()["servers"] == [{"url": "/api"}]
        metrics = (await client.get("/api/metrics")).text
        assert 'request_duration_seconds_count{code="200",method="POST",route="/predict"} 2.0' in metrics


async def test_a_prefix_makes_no_route_another(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    async with serving(CLASSIFIER, root_path="/api", token_file=tmp_path / "token") as client:
        for path, status in (("/api/healthz", 200), ("/healthz", 200), ("/api/models", 401), ("/apihealthz", 401)):
            assert (await client.get(path)).status_code == status, path
