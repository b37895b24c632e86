"""Describes a route: which request it answers, who may use it, how it is found, and how it is documented."""

from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from chainzrule.service.api.access.scopes import Scope
from chainzrule.service.api.incoming import Incoming

Endpoint = Callable[[Incoming], Awaitable[Response]]
Parameter = dict[str, Any]


@dataclass(frozen=True)
class Route:
    """Describes a method and a path, with the endpoint that answers them.

    Attributes:
        method: the HTTP method.
        path: the path, with its parameters in braces.
        endpoint: the function that answers.
        scopes: what it takes, where the service requires a token: one that permits any of these; `OPEN` needs none.
        hot: whether it is dispatched ahead of FastAPI's routing.
        binary: whether JSON may be followed by raw tensors, in the question and in the answer.
        documented: whether the OpenAPI document shows it.
        answer: the schema of its answer.
        media: the media types of its answer, where that is text; none of them where it is empty, None where it is JSON.
        unready: whether an answer with status 503 has the schema `answer` too.
        body: the schema of the question's body.
        body_required: whether the body may not be left out.
        parameters: the parameters in the path, the query and the headers, as OpenAPI describes them.
        problems: the statuses of its errors.
    """

    method: str
    path: str
    endpoint: Endpoint
    _: KW_ONLY
    scopes: frozenset[Scope]
    hot: bool = False
    binary: bool = False
    documented: bool = True
    answer: type[BaseModel] | None = None
    media: tuple[str, ...] | None = None
    unready: bool = False
    body: type[BaseModel] | None = None
    body_required: bool = True
    parameters: tuple[Parameter, ...] = ()
    problems: tuple[int, ...] = ()


def in_query(name: str, schema: dict[str, Any], description: str, required: bool = False) -> Parameter:
    """Returns the description of a parameter in the query."""
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def in_path(name: str, description: str) -> Parameter:
    """Returns the description of a parameter in the path, which is a text."""
    return {**in_query(name, {"type": "string"}, description, required=True), "in": "path"}


def in_header(name: str, schema: dict[str, Any], description: str) -> Parameter:
    """Returns the description of a header."""
    return {**in_query(name, schema, description), "in": "header"}
