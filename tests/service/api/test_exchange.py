"""What every request goes through: ids, the token, cross-origin calls, disconnects and the log line."""

import asyncio
import gc
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import Message
from uvicorn.server import ServerState

from chainzrule.service.app import create_app
from chainzrule.service.errors import ServiceError
from chainzrule.service.protocol import BoundedProtocol
from chainzrule.service.settings import Settings
from tests.artifacts import CLASSIFIER
from tests.service.api.test_problems import assert_problem
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio
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


async def test_request_ids_with_a_line_break_are_replaced(client: httpx.AsyncClient) -> None:
    app = client.app  # type: ignore[attr-defined]
    for identity in (b"a\n", b"a\r\nSet-Cookie: x=1", b"\x00"):
        start = (await call(app, headers=[(b"x-request-id", identity)]))[0]
        (found,) = (value for name, value in start["headers"] if name == b"x-request-id")
        assert found.isalnum()


async def test_a_query_beyond_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    app = client.app  # type: ignore[attr-defined]
    start = (await call(app, path="/sensitivity", query_string=b"x=" + b"1" * 70_000))[0]
    assert start["status"] == 413
    start = (await call(app, path="/sensitivity", query_string=b"x=1,\xff"))[0]
    assert start["status"] == 400


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


# The bearer token.


async def test_the_token_guards_all_but_health_and_metrics(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    async with serving(CLASSIFIER, token_file=tmp_path / "token") as client:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await client.get(path)).status_code == 200
        for path in ("/models", "/models/toy", "/docs", "/openapi.json", "/sensitivity?x=1,2", "/nowhere"):
            response = await client.get(path)
            assert_problem(response, 401, "unauthorized")
            assert response.headers["www-authenticate"] == "Bearer"
        for given in (
            "",
            "s3cret",
            "Bearer",
            "Bearer ",
            "Bearer s3cre",
            "Bearer s3cret1",
            "Basic s3cret",
            "Bearer S3CRET",
        ):
            response = await client.post("/predict", json=ROW, headers={"Authorization": given})
            assert response.status_code == 401, given
        for given in ("Bearer s3cret", "bearer s3cret", "Bearer  s3cret "):
            for response in (
                await client.post("/predict", json=ROW, headers={"Authorization": given}),
                await client.get("/models", headers={"Authorization": given}),
            ):
                assert response.status_code == 200
        assert 'chainzrule_rejected_requests_total{reason="unauthorized"} 14.0' in (await client.get("/metrics")).text


@pytest.mark.parametrize("content", ["", "\n", "  "])
async def test_an_empty_token_lets_nobody_in_by_accident(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    with pytest.raises(ServiceError, match="token-file: the file is empty"):
        create_app(Settings(models=tmp_path, token_file=tmp_path / "token"))
    with pytest.raises(ServiceError, match="token-file: the file cannot be read"):
        create_app(Settings(models=tmp_path, token_file=tmp_path / "absent"))


# Cross-origin calls.


async def test_origins_are_off_by_default(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        response = await client.post("/predict", json=ROW, headers={"Origin": "http://elsewhere"})
        assert "access-control-allow-origin" not in response.headers


async def test_listed_origins_may_call(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    async with serving(CLASSIFIER, cors_origins=("http://elsewhere",), token_file=tmp_path / "token") as client:
        asked = {
            "Origin": "http://elsewhere",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        preflight = await client.options("/predict", headers=asked)  # browsers send no token with it
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "http://elsewhere"
        token = {"Origin": "http://elsewhere", "Authorization": "Bearer s3cret"}
        response = await client.post("/predict", json=ROW, headers=token)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "http://elsewhere"
        exposed = {name.strip().lower() for name in response.headers["access-control-expose-headers"].split(",")}
        assert {"x-request-id", "retry-after", "inference-header-content-length"} <= exposed
        refused = await client.post("/predict", json={}, headers=token)
        assert refused.status_code == 422
        assert refused.headers["access-control-allow-origin"] == "http://elsewhere"
        stranger = await client.post("/predict", json=ROW, headers={**token, "Origin": "http://stranger"})
        assert "access-control-allow-origin" not in stranger.headers


async def test_both_ways_answer_alike(serving: Serving) -> None:
    async with serving(CLASSIFIER) as hot, serving(cors_origins=("http://elsewhere",)) as routed:
        routed_app = routed.app  # type: ignore[attr-defined]
        hot_app = hot.app  # type: ignore[attr-defined]
        assert routed_app.exchange._hot.find("POST", "/predict", {}) == (None, None)
        assert hot_app.exchange._hot.find("POST", "/predict", {})[1] == "/predict"
    async with serving(CLASSIFIER) as hot:
        root = hot.app.context.settings.models  # type: ignore[attr-defined]
        app = create_app(Settings(models=root, reload_seconds=0, cors_origins=("http://elsewhere",)))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as routed,
        ):
            for question in (ROW, {"instances": [[1]]}, {"instances": []}, {}, {**ROW, "model": "x"}):
                found = [await client.post("/predict", json=question) for client in (hot, routed)]
                assert found[0].status_code == found[1].status_code
                contents = [response.json() for response in found]
                for content in contents:
                    content.pop("request_id", None)
                assert contents[0] == contents[1]


@pytest.mark.parametrize("instances", [[[1.0, 2.0]], []], ids=["answered", "refused"])
async def test_requests_leave_nothing_to_the_garbage_collector(serving: Serving, instances: list[Any]) -> None:
    body = json.dumps({"instances": instances}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    async with serving(CLASSIFIER) as client:
        config = uvicorn.Config(client.app, log_config=None, lifespan="off", ws="none")  # type: ignore[attr-defined]
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()
        async with await loop.create_server(lambda: BoundedProtocol(config, state, {}), "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())

            async def ask(times: int) -> None:
                for _ in range(times):
                    writer.write(head.encode() + body)
                    answer = await reader.readuntil(b"\r\n\r\n")
                    length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                    await reader.readexactly(length)

            await ask(5)
            gc.collect()
            gc.disable()
            try:
                await ask(50)
                assert gc.collect() < 50
            finally:
                gc.enable()
            writer.close()
            await writer.wait_closed()


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
