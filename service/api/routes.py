"""The routes, and their documentation."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from chainzrule.service.api import schemas
from chainzrule.service.api.context import Context
from chainzrule.service.api.exchange import INFER, INFER_VERSION, Endpoint, HotRoutes, guarded
from chainzrule.service.api.health import healthz_endpoint, metrics_endpoint, readyz_endpoint
from chainzrule.service.api.incoming import Incoming
from chainzrule.service.api.models import get_model_endpoint, get_stability_endpoint, list_models_endpoint
from chainzrule.service.api.oip import schemas as oip
from chainzrule.service.api.oip.infer import infer_endpoint
from chainzrule.service.api.oip.metadata import (
    live_endpoint,
    model_endpoint,
    model_ready_endpoint,
    ready_endpoint,
    server_endpoint,
    statistics_endpoint,
)
from chainzrule.service.api.oip.repository import index_endpoint, load_endpoint, unload_endpoint
from chainzrule.service.api.page import page_endpoints
from chainzrule.service.api.predict import predict_endpoint
from chainzrule.service.api.problems import is_oip
from chainzrule.service.api.sensitivity import get_sensitivity_endpoint, post_sensitivity_endpoint
from chainzrule.service.serving.question import INCLUDES, MAX_NOISE_SCALE

OCTETS = "application/octet-stream"
_BYTES = {"schema": {"type": "string", "format": "binary", "description": "JSON, then the raw tensors in its order"}}


@dataclass(frozen=True)
class Route:
    """A route.

    Attributes:
        hot: whether it is also dispatched ahead of FastAPI's own routing.
        binary: whether JSON may be followed by raw tensors, both ways.
        unready: whether 503 has the answer's shape too.
        body_required: whether the body, where there is one, may not be left out.
    """

    method: str
    path: str
    endpoint: Endpoint
    answer: type[BaseModel] | None
    body: type[BaseModel] | None = None
    parameters: list[dict[str, Any]] = field(default_factory=list)
    problems: tuple[int, ...] = ()
    hot: bool = False
    documented: bool = True
    binary: bool = False
    unready: bool = False
    body_required: bool = True


def routes(context: Context) -> list[Route]:
    """All routes of the application."""
    version = _parameter("version", {"type": "string"}, "the newest that is ready, unless given")
    name = {**_parameter("name", {"type": "string"}, "the model's name"), "in": "path", "required": True}
    rows = (400, 404, 413, 415, 422, 429, 503, 504)
    return [
        Route(
            "POST", "/predict", predict_endpoint(context), schemas.PredictionAnswer, schemas.Prediction, [], rows, True
        ),
        Route(
            "GET",
            "/sensitivity",
            get_sensitivity_endpoint(context),
            schemas.SensitivityAnswer,
            None,
            _sensitivity_parameters(version),
            (400, 404, 413, 422, 429, 503, 504),
            True,
        ),
        Route(
            "POST",
            "/sensitivity",
            post_sensitivity_endpoint(context),
            schemas.SensitivityAnswer,
            schemas.SensitivityQuestion,
            [],
            rows,
            True,
        ),
        Route("GET", "/models", list_models_endpoint(context), schemas.ModelList),
        Route("GET", "/models/{name}", get_model_endpoint(context), None, None, [name, version], (404, 422, 503)),
        Route(
            "GET",
            "/models/{name}/stability",
            get_stability_endpoint(context),
            schemas.StabilityAnswer,
            None,
            [name, version],
            (404, 422, 503),
        ),
        *_oip_routes(context),
        Route("GET", "/healthz", healthz_endpoint(context), None),
        Route("GET", "/readyz", readyz_endpoint(context), schemas.Readiness, unready=True),
        Route("GET", "/metrics", metrics_endpoint(context), None),
        *_page_routes(context),
    ]


def _page_routes(context: Context) -> list[Route]:
    """The playground, where it is switched on; it is for people, so not in the API's documentation."""
    if not context.settings.playground:
        return []
    page, part = page_endpoints(context.settings.root_path)
    return [
        Route("GET", "/", page, None, documented=False),
        Route("GET", "/ui/{file:path}", part, None, documented=False),
    ]


def _oip_routes(context: Context) -> list[Route]:
    """The open inference protocol; each model route with and without a version."""
    rows = (400, 404, 413, 415, 429, 503, 504)
    model = {**_parameter("model", {"type": "string"}, "the model's name"), "in": "path", "required": True}
    version = {**_parameter("version", {"type": "string"}, "its version"), "in": "path", "required": True}
    json_bytes = {
        **_parameter("Inference-Header-Content-Length", {"type": "integer", "minimum": 0}, "bytes of JSON in the body"),
        "in": "header",
    }
    found = [
        Route("GET", "/v2", server_endpoint(context), oip.ServerMetadata),
        Route("GET", "/v2/", server_endpoint(context), oip.ServerMetadata),
        Route("GET", "/v2/health/live", live_endpoint(context), oip.Liveness),
        Route("GET", "/v2/health/ready", ready_endpoint(context), oip.Readiness, unready=True),
        Route("GET", "/v2/models/stats", statistics_endpoint(context), oip.Statistics),
        Route(
            "POST",
            "/v2/repository/index",
            index_endpoint(context),
            oip.RepositoryIndex,
            oip.IndexQuestion,
            problems=(400, 413),
            body_required=False,
        ),
    ]
    for verb, endpoint in (("load", load_endpoint), ("unload", unload_endpoint)):
        path = f"/v2/repository/models/{{model}}/{verb}"
        found.append(Route("POST", path, endpoint(context), None, None, [model], (400, 403, 404, 503)))
    for path, parameters in (
        ("/v2/models/{model}", [model]),
        ("/v2/models/{model}/versions/{version}", [model, version]),
    ):
        found += [
            Route("GET", path, model_endpoint(context), oip.ModelMetadata, None, parameters, (404, 503)),
            Route(
                "GET",
                f"{path}/ready",
                model_ready_endpoint(context),
                oip.ModelReadiness,
                None,
                parameters,
                (404,),
                unready=True,
            ),
            Route("GET", f"{path}/stats", statistics_endpoint(context), oip.Statistics, None, parameters, (404, 503)),
            Route(
                "POST",
                f"{path}/infer",
                infer_endpoint(context),
                oip.InferenceAnswer,
                oip.InferenceQuestion,
                [*parameters, json_bytes],
                rows,
                hot=True,
                binary=True,
            ),
        ]
    return found


def register(application: FastAPI, context: Context) -> HotRoutes:
    """Register every route with FastAPI; returns the hot ones."""
    hot: dict[tuple[str, str], Endpoint] = {}
    for route in routes(context):
        endpoint = guarded(route.endpoint, context, oip=is_oip(route.path))
        application.add_api_route(
            route.path,
            _for_fastapi(endpoint, context),
            methods=[route.method],
            response_model=None,
            summary=(route.endpoint.__doc__ or "").partition(";")[0].partition(":")[0].rstrip("."),
            description=route.endpoint.__doc__,
            responses=_responses(route),
            openapi_extra=_request(route),
            include_in_schema=route.documented,
        )
        if route.hot:
            hot[route.method, route.path] = endpoint
    infer = {path: hot.pop(("POST", path)) for path in (INFER, INFER_VERSION)}
    return HotRoutes(hot, infer)


def _for_fastapi(endpoint: Endpoint, context: Context) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return await endpoint(Incoming(request.scope, request.receive, context.bodies))

    answer.__name__ = endpoint.__name__
    return answer


def _responses(route: Route) -> dict[int | str, dict[str, Any]]:
    responses: dict[int | str, dict[str, Any]] = {200: {"model": route.answer}} if route.answer else {}
    if route.binary:
        responses[200]["content"] = {OCTETS: _BYTES}
    if route.unready:
        responses[503] = {"model": route.answer, "description": "Not ready"}
    for status in route.problems:
        if is_oip(route.path):
            responses[status] = {"model": oip.Failure}
        else:
            schema = schemas.Problem.model_json_schema()
            responses[status] = {"content": {"application/problem+json": {"schema": schema}}}
    return responses


def _request(route: Route) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if route.parameters:
        extra["parameters"] = route.parameters
    if route.body is not None:
        content = {"application/json": {"schema": _self_contained(route.body.model_json_schema())}}
        if route.binary:
            content[OCTETS] = _BYTES
        extra["requestBody"] = {"required": route.body_required, "content": content}
    return extra


def _self_contained(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its definitions put where they are referred to: references lead from the document's root."""
    definitions = schema.pop("$defs", {})

    def put(part: Any) -> Any:
        if isinstance(part, list):
            return [put(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return put(definitions[part["$ref"].rpartition("/")[2]])
        return {name: put(item) for name, item in part.items()}

    return dict(put(schema))


def _parameter(name: str, schema: dict[str, Any], description: str, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def _sensitivity_parameters(version: dict[str, Any]) -> list[dict[str, Any]]:
    scale = {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_NOISE_SCALE, "default": 1}
    return [
        _parameter("x", {"type": "string"}, "the row: values separated by commas, or a JSON list or object", True),
        _parameter("model", {"type": "string"}, "may be left out where one model is the default"),
        version,
        _parameter("noise_scale", scale, "multiple of the card's noise"),
        _parameter("top", {"type": "integer", "minimum": 1}, "list only the strongest features"),
        _parameter("include", {"type": "string"}, f"also answer, separated by commas: {', '.join(INCLUDES)}"),
    ]
