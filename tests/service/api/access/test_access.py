"""Tokens: they guard all routes but the open ones, each permits what it says, whichever way routes are found."""

import asyncio
from pathlib import Path

import httpx
import pytest

from chainzrule.service.api.access import tokenfiles
from chainzrule.service.api.access.scopes import OBSERVE, PREDICT, Scope
from chainzrule.service.api.access.tokens import line_of
from chainzrule.service.api.routes import routes
from chainzrule.service.app import create_app
from chainzrule.service.errors import ServiceError
from chainzrule.service.settings import Settings
from tests.artifacts import CLASSIFIER
from tests.service.api.refusals import assert_problem
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio
ROW = {"instances": [[1.0, 2.0]]}
OPEN = (
    "/healthz",
    "/readyz",
    "/metrics",
    "/v2/health/live",
    "/v2/health/ready",
    "/",
    "/ui/app.js",
    "/docs",
    "/docs/docs.js",
)
GUARDED = ("/models", "/models/toy", "/openapi.json", "/sensitivity?x=1,2", "/nowhere", "/v2/models/toy")


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
        assert 'chainzrule_rejected_requests_total{reason="unauthorized"} 13.0' in (await client.get("/metrics")).text


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


TENSOR = {"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
# What may be done with a token of each scope, and what with any token.
MAY: dict[str, list[tuple[str, str, object]]] = {
    "predict": [
        ("POST", "/predict", ROW),
        ("POST", "/sensitivity", ROW),
        ("GET", "/sensitivity?x=1,2", None),
        ("HEAD", "/sensitivity?x=1,2", None),
        ("POST", "/v2/models/toy/infer", TENSOR),
        ("POST", "/v2/models/toy/versions/1/infer", TENSOR),
        ("POST", "/v1/models/toy:predict", ROW),
        ("POST", "/v1/models/toy:explain", ROW),
    ],
    "observe": [
        ("GET", "/v1/models", None),
        ("GET", "/models", None),
        ("GET", "/models/toy", None),
        ("GET", "/models/toy/stability", None),
        ("HEAD", "/models/toy/stability", None),
        ("GET", "/v2/models/stats", None),
        ("GET", "/v2/models/toy/stats", None),
        ("GET", "/v2/models/toy/versions/1/stats", None),
        ("POST", "/v2/repository/index", {}),
    ],
    "admin": [
        ("POST", "/v2/repository/models/toy/unload", {}),
        ("POST", "/v2/repository/models/toy/load", {}),
    ],
    "any": [
        ("GET", "/v2", None),
        ("GET", "/v2/models/toy", None),
        ("GET", "/v2/models/toy/ready", None),
        ("GET", "/v2/models/toy/versions/1", None),
        ("GET", "/v2/models/toy/versions/1/ready", None),
        ("GET", "/v2/models/toy/config", None),
        ("GET", "/v2/models/toy/versions/1/config", None),
        ("GET", "/v1/models/toy", None),
        ("GET", "/openapi.json", None),
    ],
}


@pytest.mark.parametrize("routed", [False, True], ids=["hot", "routed"])
async def test_a_token_permits_its_scopes_and_nothing_else(serving: Serving, tmp_path: Path, routed: bool) -> None:
    (tmp_path / "tokens").write_text("\n".join(line_of(scope, scope, frozenset((scope,))) for scope in Scope))
    async with serving(CLASSIFIER, token_file=tmp_path / "tokens", admin=True, routed=routed) as client:
        for given in Scope:
            for wanted, asked in MAY.items():
                for method, path, content in asked:
                    headers = {"Authorization": f"Bearer {given}"}
                    response = await client.request(method, path, json=content, headers=headers)
                    if wanted in (given, "any"):
                        assert response.status_code == 200, (given, method, path)
                        continue
                    assert response.status_code == 403, (given, method, path)
                    assert response.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
                    if method != "HEAD":
                        assert wanted in response.text
                        if not path.startswith("/v2"):
                            assert_problem(response, 403, "insufficient-scope")


async def test_every_guarded_route_is_tried_above(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        tried = {(method, path.partition("?")[0]) for asked in MAY.values() for method, path, _ in asked}
        for route in routes(client.app.context):  # type: ignore[attr-defined]
            path = route.path.format(name="toy", model="toy", version="1", file="") if route.scopes else ""
            assert not route.scopes or (route.method, path.rstrip("/")) in tried, path


async def test_several_scopes_add_up(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(line_of("both", "both", PREDICT | OBSERVE))
    async with serving(CLASSIFIER, token_file=tmp_path / "tokens", admin=True) as client:
        client.headers["Authorization"] = "Bearer both"
        assert (await client.post("/predict", json=ROW)).status_code == 200
        assert (await client.get("/models")).status_code == 200
        assert (await client.post("/v2/repository/models/toy/unload", json={})).status_code == 403


async def test_a_plain_token_may_do_everything(serving: Serving, token: Path) -> None:
    async with serving(CLASSIFIER, token_file=token, admin=True) as client:
        client.headers["Authorization"] = "Bearer s3cret"
        for asked in MAY.values():
            for method, path, content in asked:
                assert (await client.request(method, path, json=content)).status_code == 200, path


async def test_metrics_are_open_unless_they_are_guarded(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"{line_of('o', 'prometheus', OBSERVE)}\n{line_of('p', 'clinic', PREDICT)}")
    async with serving(CLASSIFIER, token_file=tmp_path / "tokens", guard_metrics=True) as client:
        for token, status in (("o", 200), ("p", 403), ("x", 401)):
            response = await client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
            assert response.status_code == status, token
        assert_problem(await client.get("/metrics"), 401, "unauthorized")
        for path in ("/healthz", "/readyz"):
            assert (await client.get(path)).status_code == 200


async def test_a_withdrawn_token_ends_while_the_service_runs(
    serving: Serving, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenfiles, "LOOK_SECONDS", 0.01)
    async with serving(CLASSIFIER, token_file=token) as client:
        client.headers["Authorization"] = "Bearer s3cret"
        assert (await client.get("/models")).status_code == 200
        token.write_text("another")
        for _ in range(2000):
            if (await client.get("/models")).status_code != 200:
                break
            await asyncio.sleep(0.01)
        client.headers["Authorization"] = "Bearer another"
        assert (await client.get("/models")).status_code == 200
        token.write_text("\n")
        await client.app.reload()  # type: ignore[attr-defined]
        for given in ("Bearer another", "Bearer s3cret", "Bearer ", ""):
            client.headers["Authorization"] = given
            assert (await client.get("/models")).status_code in (401, 429)


async def test_every_answer_is_of_the_type_that_it_says(serving: Serving, token: Path) -> None:
    """No browser may take an answer for a script, whatever is in it."""
    for settings in ({}, {"token_file": token}, {"cors_origins": ("http://a",)}):
        for routed in (False, True):
            async with serving(CLASSIFIER, routed=routed, **settings) as client:
                for method, path in (
                    *(("GET", path) for path in (*OPEN, *GUARDED, "/ui/none.js", "/docs/", "/openapi.json")),
                    *(("POST", "/predict"), ("DELETE", "/models"), ("OPTIONS", "/models"), ("HEAD", "/models")),
                ):
                    response = await client.request(method, path)
                    assert response.headers.get_list("x-content-type-options") == ["nosniff"], (method, path)


async def test_without_a_token_everything_answers(client: httpx.AsyncClient) -> None:
    assert (await client.get("/models")).status_code == 200
    assert (await client.get("/models", headers={"Authorization": "Bearer nonsense"})).status_code == 200
