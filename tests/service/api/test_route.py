"""A route says everything of itself, by name."""

from dataclasses import FrozenInstanceError

import pytest

from chainzrule.service.api.access.scopes import OBSERVE, OPEN, Scope
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.route import Route, in_header, in_path, in_query


async def endpoint(request: Incoming) -> Answer:
    return Answer(b"")


def test_a_route_says_who_may_ask_and_is_cold_json_and_documented_unless_it_says_otherwise() -> None:
    route = Route("GET", "/", endpoint, scopes=OBSERVE)
    assert (route.scopes, route.hot, route.binary, route.unready) == ({Scope.OBSERVE}, False, False, False)
    assert (route.documented, route.body_required) == (True, True)
    assert (route.answer, route.body, route.parameters, route.problems) == (None, None, (), ())


def test_a_route_is_frozen_and_says_things_by_name() -> None:
    with pytest.raises(FrozenInstanceError):
        Route("GET", "/", endpoint, scopes=OBSERVE).scopes = OPEN  # type: ignore[misc]
    with pytest.raises(TypeError, match="scopes"):
        Route("GET", "/", endpoint)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Route("GET", "/", endpoint, True)  # type: ignore[misc]


def test_parameters_are_described_as_openapi_has_them() -> None:
    whole = {"type": "integer", "minimum": 0}
    assert in_query("top", whole, "how many") == {
        "name": "top", "in": "query", "required": False, "description": "how many", "schema": whole,
    }  # fmt: skip
    assert in_query("x", {"type": "string"}, "the row", required=True)["required"] is True
    assert in_path("name", "whose") == {
        "name": "name", "in": "path", "required": True, "description": "whose", "schema": {"type": "string"},
    }  # fmt: skip
    assert in_header("Length", whole, "bytes") == {
        "name": "Length", "in": "header", "required": False, "description": "bytes", "schema": whole,
    }  # fmt: skip
