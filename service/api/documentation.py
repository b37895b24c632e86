"""Registers the routes with FastAPI, with what the OpenAPI document says of each."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chainzrule.service.api.context import Context
from chainzrule.service.api.incoming import Incoming
from chainzrule.service.api.oip.schemas import Failure
from chainzrule.service.api.problems import is_oip
from chainzrule.service.api.route import Route
from chainzrule.service.api.schemas.problem import Problem

OCTETS = "application/octet-stream"
_BYTES = {"schema": {"type": "string", "format": "binary", "description": "JSON, then the raw tensors in its order"}}


def register(application: FastAPI, routes: Iterable[Route], context: Context) -> None:
    """Registers routes with FastAPI, which dispatches those that are not hot and documents those marked so."""
    for route in routes:
        said = route.endpoint.__doc__ or ""
        application.add_api_route(
            route.path,
            _for_fastapi(route, context),
            methods=[route.method],
            response_model=None,
            response_class=JSONResponse if route.media is None else Response,
            summary=said.partition(";")[0].partition(":")[0].rstrip("."),
            description=said,
            responses=_responses(route),
            openapi_extra=_request(route),
            include_in_schema=route.documented,
        )


def _for_fastapi(route: Route, context: Context) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return await route.endpoint(Incoming(request.scope, request.receive, context.reading))

    answer.__name__ = route.endpoint.__name__
    return answer


def _responses(route: Route) -> dict[int | str, dict[str, Any]]:
    """Returns descriptions of the answers by status, as FastAPI takes them."""
    responses: dict[int | str, dict[str, Any]] = {200: {"model": route.answer}} if route.answer else {}
    if route.media:
        responses[200] = {"content": {media: {"schema": {"type": "string"}} for media in route.media}}
    if route.binary:
        responses[200]["content"] = {OCTETS: _BYTES}
    if route.unready:
        responses[503] = {"model": route.answer, "description": "Not ready"}
    for status in route.problems:
        if is_oip(route.path):
            responses[status] = {"model": Failure}
        else:
            schema = Problem.model_json_schema()
            responses[status] = {"content": {"application/problem+json": {"schema": schema}}}
    return responses


def _request(route: Route) -> dict[str, Any]:
    """Returns the question's part of an OpenAPI operation, unknown to FastAPI as endpoints read it themselves."""
    extra: dict[str, Any] = {}
    if route.parameters:
        extra["parameters"] = list(route.parameters)
    if route.body is not None:
        content = {"application/json": {"schema": _self_contained(route.body.model_json_schema())}}
        if route.binary:
            content[OCTETS] = _BYTES
        extra["requestBody"] = {"required": route.body_required, "content": content}
    return extra


def _self_contained(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns a schema with its definitions inlined, because references in it would begin at the document's root."""
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
