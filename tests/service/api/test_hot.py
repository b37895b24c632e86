"""The hot routes are found as FastAPI's own routing finds them, and answer alike."""

import json
from typing import Any

import httpx
import pytest
from starlette.routing import Match

from chainzrule.service.api.access.scopes import OPEN
from chainzrule.service.api.hot import HotRoutes
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.route import Route
from chainzrule.service.api.routes import routes
from tests.artifacts import CLASSIFIER
from tests.service.conftest import Serving, serve

pytestmark = pytest.mark.anyio
ROW = {"instances": [[1.0, 2.0]]}
TENSOR = {"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}


async def endpoint(request: Incoming) -> Answer:
    return Answer(b"")


async def other(request: Incoming) -> Answer:
    return Answer(b"")


TABLE = HotRoutes(
    [
        Route("POST", "/a", endpoint, scopes=OPEN, hot=True),
        Route("GET", "/a", other, scopes=OPEN, hot=True),
        Route("GET", "/cold", endpoint, scopes=OPEN),
        Route("POST", "/b/{name}/c", endpoint, scopes=OPEN, hot=True),
        Route("POST", "/b/{name}/d/{number:int}/c", other, scopes=OPEN, hot=True),
        Route("POST", "/cold/{name}", endpoint, scopes=OPEN),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "found", "parameters"),
    [
        ("POST", "/a", (endpoint, "/a"), None),
        ("GET", "/a", (other, "/a"), None),
        ("POST", "/b/x/c", (endpoint, "/b/{name}/c"), {"name": "x"}),
        ("POST", "/b/a b.%c/c", (endpoint, "/b/{name}/c"), {"name": "a b.%c"}),
        ("POST", "/b/x/d/7/c", (other, "/b/{name}/d/{number:int}/c"), {"name": "x", "number": 7}),
        *(
            (method, path, (None, None), None)
            for method, path in (
                *(("PUT", "/a"), ("POST", "/a/"), ("POST", "/A"), ("POST", "a"), ("POST", "")),
                *(("GET", "/b/x/c"), ("POST", "/b//c"), ("POST", "/b/x/y/c"), ("POST", "/b/x/c/"), ("POST", "/b/c")),
                *(("POST", "/b/x/d/y/c"), ("POST", "/x/b/x/c"), ("GET", "/cold"), ("POST", "/cold/x")),
            )
        ),
    ],
)
def test_routes_are_found_by_method_and_path(method: str, path: str, found: Any, parameters: Any) -> None:
    scope: dict[str, Any] = {}
    assert TABLE.find(method, path, scope) == found
    assert scope.get("path_params") == parameters


PATHS = (
    *("/predict", "/sensitivity", "/models", "/healthz", "/predict/", "/", "/v2"),
    *("/v2/models/toy/infer", "/v2/models/toy/versions/1/infer", "/v2/models/a%20b/infer", "/v2/models//infer"),
    *("/v2/models/toy/versions//infer", "/v2/models/versions/infer", "/v2/models/toy/a/b/c/infer", "/v2/models/infer"),
    *("/v2/models/toy/infer/", "/v2/models/toy/versions/1/2/infer", "/x/v2/models/toy/infer"),
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT"])
async def test_what_is_found_is_what_fastapi_finds(client: httpx.AsyncClient, method: str, path: str) -> None:
    app = client.app  # type: ignore[attr-defined]
    listed = routes(app.context)
    hot = {(route.method, route.path) for route in listed if route.hot}
    scope: dict[str, Any] = {}
    _, found = HotRoutes(listed).find(method, path, scope)
    asked = {"type": "http", "method": method, "path": path, "root_path": ""}
    matches = [(route.path, *route.matches(asked)) for route in app.routes]
    expected = next(((path, scope) for path, match, scope in matches if match == Match.FULL), ("", {}))
    if (method, expected[0]) in hot:
        assert found == expected[0]
        assert scope.get("path_params", {}) == expected[1]["path_params"]
    else:
        assert found is None


async def test_the_hot_routes_are_really_found_ahead(serving: Serving) -> None:
    async with serving(CLASSIFIER) as hot, serving(CLASSIFIER, routed=True) as routed:
        for client, expected in ((hot, "/predict"), (routed, None)):
            app = client.app  # type: ignore[attr-defined]
            assert app.exchange.hot.find("POST", "/predict", {})[1] == expected


QUESTIONS = [
    *(
        ("POST", "/predict", question)
        for question in (ROW, {"instances": [[1]]}, {"instances": []}, {}, {**ROW, "model": "x"})
    ),
    *(("POST", "/sensitivity", question) for question in (ROW, {**ROW, "include": ["layers"]}, {})),
    *(("GET", f"/sensitivity?{query}", None) for query in ("x=1,2", "x=1", "", "x=1,2&top=1")),
    *(
        ("POST", f"/v2/models/{path}/infer", question)
        for path in ("toy", "toy/versions/1", "nobody", "toy/versions/9")
        for question in (TENSOR, {}, {**TENSOR, "id": "7"})
    ),
]


async def test_both_ways_answer_alike(serving: Serving) -> None:
    async with serving(CLASSIFIER) as hot:
        root = hot.app.context.settings.models  # type: ignore[attr-defined]
        async with serve(root, routed=True) as routed:
            for method, path, question in QUESTIONS:
                content = None if question is None else json.dumps(question).encode()
                asked = {"content": content, "headers": {"X-Request-ID": "same", "Content-Type": "application/json"}}
                first, second = [await client.request(method, path, **asked) for client in (hot, routed)]
                assert first.status_code == second.status_code, path
                assert first.content == second.content, path
                assert sorted(first.headers.items()) == sorted(second.headers.items()), path
