"""Requests that must fail, and the one shape in which they do."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from chainzrule.service.api.schemas.problem import Problem

JSON = {"Content-Type": "application/json"}
MARK = "s3cret"  # a value, which no answer repeats
NAME = "made up"  # a name, which answers may repeat
ROW = "[1.0, 2.0]"


@dataclass(frozen=True)
class Case:
    """A request that must fail."""

    name: str
    status: int
    slug: str
    body: Any = None  # text, bytes, or something to be written as JSON
    method: str = "POST"
    path: str = "/predict"
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    place: str | None = None

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (
            self.body.encode() if isinstance(self.body, str) else b"" if self.body is None else orjson.dumps(self.body)
        )


def malformed(name: str, body: str | bytes, place: str | None = "body") -> Case:
    return Case(name, 400, "malformed-request", body, place=place)


def invalid(name: str, body: Any, place: str | None, slug: str = "invalid-input") -> Case:
    return Case(name, 422, slug, body, place=place)


def nested(levels: int) -> str:
    return '{"instances": ' + "[" * (levels - 1) + "1" + "]" * (levels - 1) + "}"


def question(**members: Any) -> dict[str, Any]:
    return {"instances": [[1.0, 2.0]], **members}


def assert_problem(response: httpx.Response, status: int, slug: str, place: str | None = None) -> None:
    """The one shape of a failure."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(response.content)
    assert problem.type == f"urn:chainzrule:problem:{slug}"
    assert problem.status == status
    assert problem.place == place
    assert problem.request_id == response.headers["x-request-id"]
    assert problem.detail
    assert MARK not in response.text.lower()
    for headers in response.headers.values():
        assert MARK not in headers.lower()
    for leak in ("Traceback", "Error(", ".py", "0x", "object at"):
        assert leak not in response.text


async def assert_refused(client: httpx.AsyncClient, case: Case) -> None:
    """A case fails as it says."""
    response = await client.request(case.method, case.path, content=case.content, headers=case.headers)
    assert_problem(response, case.status, case.slug, case.place)
