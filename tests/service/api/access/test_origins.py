"""Calls from pages of other origins, whichever way their routes are found."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.artifacts import CLASSIFIER
from tests.service.api.test_exchange import converse, listening
from tests.service.conftest import Serving, serve

pytestmark = pytest.mark.anyio
ROW = {"instances": [[1.0, 2.0]]}
TENSOR = {"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
ELSEWHERE = "http://elsewhere"
EXPOSED = "X-Request-ID, Retry-After, Inference-Header-Content-Length"
ASKED = {
    "Origin": ELSEWHERE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.fixture(scope="module", params=["hot", "routed"])
async def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that one other origin may call, with the token."""
    token = tmp_path_factory.mktemp("secrets") / "token"
    token.write_text("s3cret")
    root, routed = tmp_path_factory.mktemp("models"), request.param == "routed"
    async with serve(root, CLASSIFIER, routed=routed, cors_origins=(ELSEWHERE,), token_file=token) as client:
        client.headers["Authorization"] = "Bearer s3cret"
        yield client


def cors(response: httpx.Response) -> dict[str, str]:
    """What an answer says of origins."""
    return {
        name: value for name, value in response.headers.items() if name.startswith("access-control") or name == "vary"
    }


async def test_origins_are_off_by_default(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        for response in (
            await client.post("/predict", json=ROW, headers={"Origin": ELSEWHERE}),
            await client.get("/models", headers={"Origin": ELSEWHERE}),
        ):
            assert response.status_code == 200
            assert cors(response) == {}
        assert (await client.options("/predict", headers=ASKED)).status_code == 405


async def test_listed_origins_may_call(client: httpx.AsyncClient) -> None:
    preflight = await client.options("/predict", headers=ASKED)  # browsers send no token with it
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ELSEWHERE
    response = await client.post("/predict", json=ROW, headers={"Origin": ELSEWHERE})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ELSEWHERE
    exposed = {name.strip().lower() for name in response.headers["access-control-expose-headers"].split(",")}
    assert {"x-request-id", "retry-after", "inference-header-content-length"} <= exposed
    refused = await client.post("/predict", json={}, headers={"Origin": ELSEWHERE})
    assert refused.status_code == 422
    assert refused.headers["access-control-allow-origin"] == ELSEWHERE
    stranger = await client.post("/predict", json=ROW, headers={"Origin": "http://stranger"})
    assert "access-control-allow-origin" not in stranger.headers


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/predict", ROW, 200),
        ("POST", "/predict", {}, 422),
        ("GET", "/sensitivity?x=1,2", None, 200),
        ("POST", "/sensitivity", ROW, 200),
        ("POST", "/v2/models/toy/infer", TENSOR, 200),
        ("POST", "/v2/models/toy/versions/1/infer", TENSOR, 200),
        ("POST", "/v2/models/nobody/infer", TENSOR, 404),
        ("GET", "/models", None, 200),
        ("HEAD", "/models", None, 200),
        ("GET", "/healthz", None, 200),
        ("GET", "/nowhere", None, 404),
        ("DELETE", "/models", None, 405),
        ("OPTIONS", "/models", None, 405),
    ],
)
async def test_every_answer_says_who_may_read_it(
    client: httpx.AsyncClient, method: str, path: str, content: Any, status: int
) -> None:
    for origin, allowed in ((ELSEWHERE, True), ("http://stranger", False), ("null", False), ("", False)):
        response = await client.request(method, path, json=content, headers={"Origin": origin})
        assert response.status_code == status
        expected = {"vary": "Origin", "access-control-expose-headers": EXPOSED}
        assert cors(response) == {**expected, **({"access-control-allow-origin": origin} if allowed else {})}
        assert len(response.headers.get_list("x-request-id")) == 1
    response = await client.request(method, path, json=content)
    assert response.status_code == status
    assert cors(response) == {"vary": "Origin"}


async def test_who_lacks_the_token_may_read_that(client: httpx.AsyncClient) -> None:
    for path in ("/predict", "/models", "/v2/models/toy/infer", "/nowhere"):
        response = await client.post(path, json=ROW, headers={"Origin": ELSEWHERE, "Authorization": "Bearer wrong"})
        assert response.status_code == 401
        assert response.headers["access-control-allow-origin"] == ELSEWHERE
        assert response.headers["www-authenticate"] == "Bearer"
        stranger = await client.post(path, json=ROW, headers={"Origin": "http://stranger", "Authorization": ""})
        assert (stranger.status_code, "access-control-allow-origin" in stranger.headers) == (401, False)


async def test_a_preflight_needs_no_token_and_is_counted(client: httpx.AsyncClient) -> None:
    asked, before = {**ASKED, "Authorization": ""}, await preflights(client)
    for path in ("/predict", "/v2/models/toy/infer", "/models", "/nowhere"):
        preflight = await client.options(path, headers={**asked, "X-Request-ID": "mine"})
        assert (preflight.status_code, preflight.text) == (200, "OK")
        assert preflight.headers["x-request-id"] == "mine"
        assert "post" in preflight.headers["access-control-allow-methods"].lower()
        assert preflight.headers["access-control-allow-headers"] == "authorization,content-type"
        assert preflight.headers["access-control-allow-origin"] == ELSEWHERE
        assert preflight.headers["access-control-max-age"] == "600"
        assert "access-control-expose-headers" not in preflight.headers
        assert preflight.headers["vary"].split(", ").count("Origin") == 1
    stranger = await client.options("/predict", headers={**asked, "Origin": "http://stranger"})
    assert (stranger.status_code, stranger.text) == (400, "Disallowed CORS origin")
    assert "access-control-allow-origin" not in stranger.headers
    odd = await client.options("/predict", headers={**asked, "Access-Control-Request-Method": "BREW"})
    assert (odd.status_code, odd.text) == (400, "Disallowed CORS method")
    assert await preflights(client) == before + 4


async def preflights(client: httpx.AsyncClient) -> float:
    """How many preflights were answered well so far."""
    labels = {"route": "unmatched", "method": "OPTIONS", "code": "200"}
    registry = client.app.context.metrics.registry  # type: ignore[attr-defined]
    return float(registry.get_sample_value("chainzrule_request_duration_seconds_count", labels) or 0.0)


async def test_what_only_looks_like_a_preflight_is_a_call(client: httpx.AsyncClient) -> None:
    for headers in (ASKED, {"Origin": ELSEWHERE}, {"Access-Control-Request-Method": "POST"}):
        response = await client.post("/predict", json=ROW, headers=headers)
        assert response.status_code == 200
        assert ("access-control-allow-origin" in response.headers) == ("Origin" in headers)
        assert response.headers["vary"] == "Origin"
    for headers in ({"Origin": ELSEWHERE}, {"Access-Control-Request-Method": "POST"}):
        assert (await client.options("/predict", headers=headers)).status_code == 405


async def test_the_page_varies_by_origin_too(client: httpx.AsyncClient) -> None:
    for headers in ({}, {"Origin": ELSEWHERE}):
        response = await client.get("/", headers=headers)
        assert response.headers.get_list("vary") == ["accept-encoding, Origin"]


@pytest.mark.parametrize("routed", [False, True], ids=["hot", "routed"])
async def test_all_origins_may_be_allowed(serving: Serving, routed: bool) -> None:
    async with serving(CLASSIFIER, cors_origins=("*",), routed=routed) as client:
        for path in ("/predict", "/models/none"):
            response = await client.post(path, json=ROW, headers={"Origin": "http://anybody"})
            assert response.headers["access-control-allow-origin"] == "*"
        preflight = await client.options("/predict", headers={**ASKED, "Origin": "http://anybody"})
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, "*")


async def test_answers_written_in_one_piece_say_it_too(serving: Serving) -> None:
    async with serving(CLASSIFIER, cors_origins=(ELSEWHERE,)) as client:
        app = client.app  # type: ignore[attr-defined]
        assert app.exchange.hot.find("POST", "/predict", {})[1] == "/predict"
        async with listening(app) as stream:
            for origin, allowed in ((ELSEWHERE, True), ("http://stranger", False)):
                head = f"POST /predict HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\nContent-Type: application/json\r\n"
                asked = f"{head}Content-Length: 27\r\n\r\n".encode() + b'{"instances": [[1.0, 2.0]]}'
                header, _ = await converse(stream, asked)
                assert header.startswith(b"HTTP/1.1 200 OK\r\n")
                assert (f"\r\naccess-control-allow-origin: {origin}\r\n".encode() in header) == allowed
                assert b"\r\nvary: Origin\r\n" in header
