"""What each route says of itself, and that the application does so."""

from dataclasses import replace
from pathlib import Path

import pytest

from chainzrule.service.api.context import Context
from chainzrule.service.api.routes import routes
from chainzrule.service.app import create_app
from chainzrule.service.settings import Settings
from tests.contract.promised import assert_promised
from tests.contract.regenerate import openapi

PLAYGROUND = {"/", "/ui/{file:path}"}
INFER = ("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer")

KSERVE = ("/v1/models/{model}:predict", "/v1/models/{model}:explain")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return create_app(Settings(models=tmp_path_factory.mktemp("models"))).context


def test_the_hot_routes_are_those_that_run_a_model(context: Context) -> None:
    hot = {(route.method, route.path) for route in routes(context) if route.hot}
    assert hot == {
        *(("POST", "/predict"), ("GET", "/sensitivity"), ("POST", "/sensitivity")),
        *(("POST", path) for path in (*INFER, *KSERVE)),
    }


def test_the_open_routes_tell_nothing_of_a_model(context: Context) -> None:
    assert {route.path for route in routes(context) if not route.scopes} == {
        *("/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"),
        *("/", "/ui/{file:path}", "/docs", "/docs/{file:path}"),  # the pages, which ask for the token themselves
    }


def test_inference_alone_is_binary(context: Context) -> None:
    assert {route.path for route in routes(context) if route.binary} == set(INFER)


def test_the_document_shows_the_documented_routes_in_their_order(context: Context) -> None:
    shown = [(method.upper(), path) for path, methods in openapi()["paths"].items() for method in methods]
    documented = [(route.method, route.path) for route in routes(context) if route.documented]
    assert sorted(shown) == sorted(documented)
    assert list(openapi()["paths"]) == list(dict.fromkeys(path for _, path in documented))
    assert {route.path for route in routes(context) if not route.documented} == {
        *PLAYGROUND,
        "/docs",
        "/docs/{file:path}",
    }


def test_no_two_routes_are_the_same(context: Context) -> None:
    listed = [(route.method, route.path) for route in routes(context)]
    assert len(set(listed)) == len(listed)


def test_without_the_playground_its_routes_are_not_there(context: Context, tmp_path: Path) -> None:
    settings = Settings(models=tmp_path, playground=False)
    found = {route.path for route in routes(replace(context, settings=settings))}
    assert found == {route.path for route in routes(context)} - PLAYGROUND


def test_each_route_keeps_what_the_committed_document_promises(context: Context) -> None:
    for route in routes(context):
        if route.documented:
            assert_promised(route)
