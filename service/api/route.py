"""A route: which request it answers, who may ask, how it is found, and what its documentation shows."""

from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from chainzrule.service.api.incoming import Incoming

Endpoint = Callable[[Incoming], Awaitable[Response]]
Parameter = dict[str, Any]


@dataclass(frozen=True)
class Route:
    """A method and a path, with the endpoint that answers them.

    Attributes:
        method: the HTTP method.
        path: the path; its parameters stand in braces.
        endpoint: what answers.
        open: whether it answers without the token, where the service asks for one.
        hot: whether it is found ahead of FastAPI's routing.
        binary: whether JSON may be followed by raw tensors, in the question and in the answer.
        documented: whether the OpenAPI document shows it.
        answer: the schema of its answer.
        unready: whether an answer with status 503 has that schema too.
        body: the schema of the question's body.
        body_required: whether the body may not be left out.
        parameters: what the path, the query and the headers hold, as OpenAPI describes it.
        problems: the statuses with which it refuses.
    """

    method: str
    path: str
    endpoint: Endpoint
    _: KW_ONLY
    open: bool = False
    hot: bool = False
    binary: bool = False
    documented: bool = True
    answer: type[BaseModel] | None = None
    unready: bool = False
    body: type[BaseModel] | None = None
    body_required: bool = True
    parameters: tuple[Parameter, ...] = ()
    problems: tuple[int, ...] = ()


def in_query(name: str, schema: dict[str, Any], description: str, required: bool = False) -> Parameter:
    """Describes a parameter of the query."""
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def in_path(name: str, description: str) -> Parameter:
    """Describes a parameter of the path, which is text."""
    return {**in_query(name, {"type": "string"}, description, required=True), "in": "path"}


def in_header(name: str, schema: dict[str, Any], description: str) -> Parameter:
    """Describes a header."""
    return {**in_query(name, schema, description), "in": "header"}
