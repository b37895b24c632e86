"""The protocol's routes: which there are, and that a model's are the same with and without its version."""

from dataclasses import replace

import pytest

from chainzrule.service.api.context import Context
from chainzrule.service.api.oip.routes import MODEL, VERSION, oip_routes
from chainzrule.service.app import create_app
from chainzrule.service.settings import Settings
from tests.contract.promised import assert_promised

PLAIN, VERSIONED = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return create_app(Settings(models=tmp_path_factory.mktemp("models"))).context


def test_the_routes_are_the_protocols(context: Context) -> None:
    model = [("GET", ""), ("GET", "/ready"), ("GET", "/stats"), ("GET", "/config"), ("POST", "/infer")]
    assert [(route.method, route.path) for route in oip_routes(context)] == [
        *(("GET", path) for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/stats")),
        ("POST", "/v2/repository/index"),
        *(("POST", f"/v2/repository/models/{{model}}/{verb}") for verb in ("load", "unload")),
        *((method, path + end) for path in (PLAIN, VERSIONED) for method, end in model),
    ]


def test_a_version_is_all_that_its_routes_take_further(context: Context) -> None:
    listed = {(route.method, route.path): route for route in oip_routes(context)}
    for (method, path), route in listed.items():
        if path.startswith(VERSIONED):
            plain = listed[method, PLAIN + path.removeprefix(VERSIONED)]
            assert route.parameters == (MODEL, VERSION, *plain.parameters[1:])
            same = {"path": plain.path, "parameters": plain.parameters, "endpoint": plain.endpoint}
            assert replace(route, **same) == plain


def test_only_health_is_open_and_only_inference_hot(context: Context) -> None:
    listed = oip_routes(context)
    assert [route.path for route in listed if not route.scopes] == ["/v2/health/live", "/v2/health/ready"]
    assert [route.path for route in listed if route.hot] == [f"{PLAIN}/infer", f"{VERSIONED}/infer"]
    assert all(route.documented for route in listed)


def test_each_route_keeps_what_the_committed_document_promises(context: Context) -> None:
    for route in oip_routes(context):
        if route.documented:
            assert_promised(route)
