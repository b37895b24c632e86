"""The bearer token: it guards all routes but the open ones, whichever way they are found."""

from pathlib import Path

import httpx
import pytest

from chainzrule.service.app import create_app
from chainzrule.service.errors import ServiceError
from chainzrule.service.settings import Settings
from tests.artifacts import CLASSIFIER
from tests.service.api.refusals import assert_problem
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio
ROW = {"instances": [[1.0, 2.0]]}
OPEN = ("/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready", "/", "/ui/app.js")
GUARDED = ("/models", "/models/toy", "/docs", "/openapi.json", "/sensitivity?x=1,2", "/nowhere", "/v2/models/toy")


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    return file


async def test_the_token_guards_all_but_the_open_routes(serving: Serving, token: Path) -> None:
    async with serving(CLASSIFIER, token_file=token) as client:
        for path in OPEN:
            assert (await client.get(path)).status_code == 200
        for path in GUARDED[:-1]:
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


async def test_both_ways_ask_for_it(serving: Serving, token: Path) -> None:
    for routed in (False, True):
        async with serving(CLASSIFIER, token_file=token, routed=routed) as client:
            for path in GUARDED:
                assert (await client.get(path)).status_code == 401, path
            for path in ("/predict", "/sensitivity", "/v2/models/toy/infer", "/v2/models/toy/versions/1/infer"):
                assert (await client.post(path, json=ROW)).status_code == 401, path
            assert (await client.post("/predict", json=ROW, headers={"Authorization": "Bearer s3cret"})).is_success


async def test_an_open_path_is_open_to_every_method(serving: Serving, token: Path) -> None:
    async with serving(CLASSIFIER, token_file=token) as client:
        assert (await client.head("/healthz")).status_code == 200
        assert_problem(await client.post("/healthz"), 405, "method-not-allowed")
        assert_problem(await client.get("/ui/none.js"), 404, "unknown-route")
        assert_problem(await client.options("/models"), 405, "method-not-allowed")


async def test_what_only_looks_like_an_open_path_is_guarded(serving: Serving, token: Path) -> None:
    async with serving(CLASSIFIER, token_file=token) as client:
        for path in ("/ui", "/healthz//", "/healthz/x", "/v2/health", "/v2/models/toy/ready", "/uix/app.js"):
            assert (await client.get(path)).status_code == 401, path


async def test_a_page_that_is_switched_off_opens_nothing(serving: Serving, token: Path) -> None:
    async with serving(CLASSIFIER, token_file=token, playground=False) as client:
        for path in ("/", "/ui/app.js"):
            assert_problem(await client.get(path), 401, "unauthorized")


async def test_open_paths_hold_behind_a_prefix(serving: Serving, token: Path) -> None:
    async with serving(CLASSIFIER, token_file=token, root_path="/api") as client:
        for path in ("/api/healthz", "/healthz", "/api", "/api/ui/app.js"):
            assert (await client.get(path)).status_code == 200, path
        for path in ("/api/models", "/api/api/healthz"):
            assert (await client.get(path)).status_code == 401, path


@pytest.mark.parametrize("content", ["", "\n", "  "])
async def test_an_empty_token_lets_nobody_in_by_accident(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    with pytest.raises(ServiceError, match="token-file: the file is empty"):
        create_app(Settings(models=tmp_path, token_file=tmp_path / "token"))
    with pytest.raises(ServiceError, match="token-file: the file cannot be read"):
        create_app(Settings(models=tmp_path, token_file=tmp_path / "absent"))


async def test_without_a_token_everything_answers(client: httpx.AsyncClient) -> None:
    assert (await client.get("/models")).status_code == 200
    assert (await client.get("/models", headers={"Authorization": "Bearer nonsense"})).status_code == 200
