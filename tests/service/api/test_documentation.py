"""The OpenAPI document says of each route what the route says of itself; `tests/contract` keeps docs/ fresh."""

import json
from typing import Any

import pytest

from chainzrule.service.api.context import Context
from chainzrule.service.api.oip.datatypes import DATATYPES
from chainzrule.service.api.problems import is_oip
from chainzrule.service.api.route import Route
from chainzrule.service.api.routes import routes
from chainzrule.service.app import create_app
from chainzrule.service.settings import Settings
from tests.artifacts import CLASSIFIER
from tests.contract.regenerate import openapi
from tests.service.conftest import Serving

DOCUMENT = openapi()


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return create_app(Settings(models=tmp_path_factory.mktemp("models"))).context


def operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][route.path][route.method.lower()]
    return found


def documented(context: Context) -> list[Route]:
    return [route for route in routes(context) if route.documented]


def test_every_answer_has_its_schema(context: Context) -> None:
    for route in documented(context):
        answer = operation(route)["responses"]["200"]
        content = answer.get("content", {})
        if route.media is not None:  # text, or nothing
            assert set(content) == set(route.media), route.path
        assert ("application/octet-stream" in content) == route.binary
        if route.answer is not None:
            reference = {"$ref": f"#/components/schemas/{route.answer.__name__}"}
            assert content["application/json"]["schema"] == reference
            unready = operation(route)["responses"].get("503", {}).get("content", {})
            assert (unready.get("application/json", {}).get("schema") == reference) == route.unready


def test_every_problem_has_its_protocols_shape(context: Context) -> None:
    for route in documented(context):
        responses = operation(route)["responses"]
        expected = {"200", *map(str, route.problems), *(("503",) if route.unready else ())}
        assert set(responses) == expected, route.path
        for status in map(str, route.problems):
            content = responses[status]["content"]
            if is_oip(route.path):
                assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Failure"}
            else:
                assert content["application/problem+json"]["schema"]["title"] == "Problem"


def test_every_question_has_its_body_and_parameters(context: Context) -> None:
    for route in documented(context):
        found = operation(route)
        assert ("requestBody" in found) == (route.body is not None), route.path
        if route.body is not None:
            assert found["requestBody"]["required"] == route.body_required
            content = found["requestBody"]["content"]
            assert content["application/json"]["schema"]["title"] == route.body.__name__
            assert ("application/octet-stream" in content) == route.binary
        assert found.get("parameters", []) == list(route.parameters)
        named = {parameter["name"] for parameter in route.parameters if parameter["in"] == "path"}
        assert named == {part[1 : part.index("}")] for part in route.path.split("/") if part.startswith("{")}


def test_questions_are_described_where_they_stand(context: Context) -> None:
    """A reference within a body would lead to the document's root, where there are only the answers' schemas."""
    for route in documented(context):
        if route.body is not None:
            described = json.dumps(operation(route)["requestBody"])
            assert "$ref" not in described
            assert "$defs" not in described
    infer = DOCUMENT["paths"]["/v2/models/{model}/infer"]["post"]["requestBody"]["content"]["application/json"]
    assert infer["schema"]["properties"]["inputs"]["items"]["properties"]["datatype"]["enum"] == list(DATATYPES)


@pytest.mark.anyio
async def test_every_route_answers_where_it_is_registered(serving: Serving) -> None:
    async with serving(CLASSIFIER, routed=True) as client:
        for route in routes(client.app.context):  # type: ignore[attr-defined]
            path = route.path.replace("{file:path}", "api.js").format(name="toy", model="toy", version="1")
            response = await client.request(route.method, path)
            assert response.status_code not in (404, 405, 500), path


def test_every_operation_has_a_summary_and_a_sentence(context: Context) -> None:
    for route in documented(context):
        found = operation(route)
        assert found["summary"]
        assert found["summary"][-1] not in ".;:"
        assert found["description"].startswith(found["summary"])


def test_schemas_are_called_by_their_own_names() -> None:
    """A name that two modules share would be published with the module's path, and change when the module moves."""
    names = [name for name in DOCUMENT["components"]["schemas"] if "__" in name]
    assert names == []
