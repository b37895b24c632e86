"""What the protocol's routes answer is what the API's documentation says, and what they take too."""

from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from chainzrule.service.api.oip.schemas import Failure, InferenceQuestion
from chainzrule.service.api.routes import Route, routes
from tests.artifacts import ALL, MIXED, Toy
from tests.contract.regenerate import openapi
from tests.service.api.oip.messages import inputs, message

pytestmark = pytest.mark.anyio

PATHS = [path for path in openapi()["paths"] if path.startswith("/v2")]


def route(client: httpx.AsyncClient, method: str, path: str) -> Route:
    context = client.app.context  # type: ignore[attr-defined]
    return next(found for found in routes(context) if (found.method, found.path) == (method, path))


@pytest.mark.parametrize("path", [path for path in PATHS if "infer" not in path and "load" not in path])
async def test_real_answers_have_the_documented_shape(client: httpx.AsyncClient, path: str) -> None:
    method = "POST" if path == "/v2/repository/index" else "GET"
    described = route(client, method, path).answer
    assert described is not None
    for toy in ALL:
        response = await client.request(method, path.format(model=toy.name, version="1"))
        assert response.status_code == 200
        described.model_validate_json(response.content)
        if "{model}" not in path:
            break
    content = described.model_validate_json(response.content).model_dump(exclude_none=True)
    assert content == response.json()  # nothing lost, nothing made of something else


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
async def test_inference_has_the_documented_shape(client: httpx.AsyncClient, toy: Toy) -> None:
    path = "/v2/models/{model}/infer"
    described = route(client, "POST", path)
    assert described.answer is not None
    tensors = inputs(toy, toy.rows(3))
    for outputs in (None, [{"name": "volatility"}], [{"name": "covariance"}, {"name": "jacobian"}]):
        members: dict[str, Any] = {"id": "7"} if outputs is None else {"outputs": outputs}
        body, headers = message(tensors, **members)
        InferenceQuestion.model_validate_json(body)
        response = await client.post(path.format(model=toy.name), content=body, headers=headers)
        assert response.status_code == 200
        described.answer.model_validate_json(response.content)


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("GET", "/v2/models/nobody", None),
        ("GET", "/v2/models/toy/versions/9", None),
        ("GET", "/v2/models/nobody/ready", None),
        ("GET", "/v2/models/nobody/stats", None),
        ("POST", "/v2/models/toy/infer", b"{}"),
        ("POST", "/v2/models/toy/infer", b"{"),
        ("POST", "/v2/repository/index", b'{"ready": 1}'),
        ("POST", "/v2/repository/models/toy/load", None),
    ],
)
async def test_failures_have_the_documented_shape_and_status(
    client: httpx.AsyncClient, method: str, path: str, content: bytes | None
) -> None:
    response = await client.request(method, path, content=content, headers={"Content-Type": "application/json"})
    Failure.model_validate_json(response.content)
    template = path.replace("nobody", "{model}").replace("toy", "{model}").replace("/9", "/{version}")
    documented = openapi()["paths"][template][method.lower()]["responses"]
    assert documented[str(response.status_code)]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Failure"
    }


@pytest.mark.parametrize("path", PATHS)
def test_every_route_is_documented_with_its_body(path: str) -> None:
    for method, operation in openapi()["paths"][path].items():
        if path.endswith("load"):
            continue  # answers nothing
        answer = operation["responses"]["200"]["content"]
        assert "$ref" in answer["application/json"]["schema"]
        if method == "post":
            assert operation["requestBody"]["content"]["application/json"]["schema"]["type"] == "object"
        if path.endswith("infer"):
            assert "application/octet-stream" in answer
            assert "application/octet-stream" in operation["requestBody"]["content"]
            assert "Inference-Header-Content-Length" in {parameter["name"] for parameter in operation["parameters"]}


def test_the_documented_question_refuses_what_the_route_refuses() -> None:
    question = TypeAdapter(InferenceQuestion)
    for wrong in ({}, {"inputs": []}, {"inputs": [{"name": "features", "shape": [-1, 2], "datatype": "FP32"}]}):
        with pytest.raises(ValidationError):
            question.validate_python(wrong)
    question.validate_python({"inputs": [t.describe() for t in inputs(MIXED, MIXED.rows(1))], "unknown": 1})
