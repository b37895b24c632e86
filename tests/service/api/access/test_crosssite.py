"""What a page of another site can make a browser send: none of it changes anything, or counts as traffic."""

import httpx
import pytest

from tests.artifacts import CLASSIFIER
from tests.service.api.oip.messages import features, message
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio
EVIL = "https://evil.example"
JSON = {"Content-Type": "application/json"}
# What a form or a call without a preflight may send.
SIMPLE = (
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/plain;charset=UTF-8",
)
INFER = "/v2/models/toy/infer"
UNLOAD, LOAD, INDEX = "/v2/repository/models/toy/unload", "/v2/repository/models/toy/load", "/v2/repository/index"
POSTED = ("/predict", "/sensitivity", INFER, "/v2/models/toy/versions/1/infer", UNLOAD, LOAD, INDEX)


async def rows(client: httpx.AsyncClient) -> int:
    """How many rows have run so far."""
    (statistics,) = (await client.get("/v2/models/toy/stats")).json()["model_stats"]
    return int(statistics["inference_count"])


def body(path: str) -> bytes:
    if path.endswith("infer"):
        return message([features([[1, 2]])])[0]
    return b"{}" if path.startswith("/v2") else b'{"instances": [[1.0, 2.0]]}'


@pytest.mark.parametrize("routed", [False, True], ids=["hot", "routed"])
async def test_forms_are_refused_everywhere(serving: Serving, routed: bool) -> None:
    async with serving(CLASSIFIER, admin=True, routed=routed) as client:
        for path in POSTED:
            for media in (*SIMPLE, "", "application", "application/jsonx", "application/json, text/plain", "*/*"):
                alone = (
                    () if media == SIMPLE[0] else ({"Content-Type": media},)
                )  # which is curl's, where no page sent it
                for headers in ({"Content-Type": media, "Origin": EVIL}, *alone):
                    response = await client.post(path, content=body(path), headers=headers)
                    assert response.status_code == 415, (path, headers)
        assert await rows(client) == 0
        assert (
            'chainzrule_predictions_total{model="toy",verdict="stable",version="1"} 0.0'
            in (await client.get("/metrics")).text
        )
        assert (await client.get("/models/toy")).status_code == 200


@pytest.mark.parametrize("mark", [{"Origin": EVIL}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_a_browser_has_to_name_its_content_type(serving: Serving, mark: dict[str, str]) -> None:
    async with serving(CLASSIFIER, admin=True) as client:
        for path in POSTED:
            for content in (body(path), b""):
                response = await client.post(path, content=content, headers=mark)
                assert response.status_code == 415, path
        assert await rows(client) == 0


async def test_other_clients_of_the_open_protocol_need_not(serving: Serving) -> None:
    """Triton's clients send every request without a content type."""
    async with serving(CLASSIFIER, admin=True) as client:
        for path in (INFER, INDEX, UNLOAD, LOAD, INFER):
            assert (await client.post(path, content=body(path))).status_code == 200, path
        assert (await client.post(INDEX)).status_code == 200
        assert (await client.post("/predict", content=body("/predict"))).status_code == 415


@pytest.mark.parametrize(
    "origin", [EVIL, "null", "", "http://test.evil.example", "http://test:81", "test", "//test", "http://[", "*"]
)
async def test_pages_of_other_origins_change_nothing(serving: Serving, origin: str) -> None:
    for allowed in ((), ("*",), ("https://friend.example",)):
        async with serving(CLASSIFIER, admin=True, cors_origins=allowed) as client:
            for path in (UNLOAD, LOAD):
                response = await client.post(path, json={}, headers={"Origin": origin})
                assert response.status_code == 403, path
                assert "cors_origins" in response.json()["error"]
            assert (await client.post("/predict", json={"instances": [[1.0, 2.0]]})).status_code == 200


async def test_own_pages_and_listed_ones_may(serving: Serving) -> None:
    async with serving(CLASSIFIER, admin=True, cors_origins=("https://Friend.example",)) as client:
        for origin in ("http://test", "https://test", "HTTP://TEST", "https://friend.example", None):
            headers = {} if origin is None else {"Origin": origin}
            for path in (UNLOAD, LOAD):
                assert (await client.post(path, json={}, headers=headers)).status_code == 200, origin
        own = {"Origin": "https://predict.example:8443", "Host": "predict.example:8443"}
        assert (await client.post(UNLOAD, json={}, headers=own)).status_code == 200


async def test_questions_may_come_from_anywhere_by_the_browsers_rules(serving: Serving) -> None:
    """They change nothing, and a browser sends JSON only where CORS lets it."""
    async with serving(CLASSIFIER) as client:
        question = {"instances": [[1.0, 2.0]]}
        assert (await client.post("/predict", json=question, headers={"Origin": EVIL})).status_code == 200


@pytest.mark.parametrize("routed", [False, True], ids=["hot", "routed"])
async def test_curl_is_taken_at_its_word_where_nothing_changes(serving: Serving, routed: bool) -> None:
    curl = {"Content-Type": SIMPLE[0]}
    async with serving(CLASSIFIER, admin=True, routed=routed) as client:
        for path in ("/predict", "/sensitivity", INFER, INDEX):
            assert (await client.post(path, content=body(path), headers=curl)).status_code == 200, path
        for path in (UNLOAD, LOAD):
            assert (await client.post(path, content=body(path), headers=curl)).status_code == 415, path
        response = await client.post("/predict", content=b"x=1&y=2", headers=curl)
        assert response.status_code == 400
        for mark in ({"Origin": EVIL}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await client.post("/predict", content=body("/predict"), headers=curl | mark)).status_code == 415
