"""Describes the answer to every error."""

from typing import Annotated

from pydantic import Field

from chainzrule.service.api.schemas.schema import Schema


class Problem(Schema):
    """Every error (RFC 9457)."""

    type: Annotated[str, Field(pattern="^urn:chainzrule:problem:")]
    title: str
    status: int
    detail: str
    place: str | None = Field(description="where in the request")
    request_id: str | None
