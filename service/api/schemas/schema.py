"""Defines the base of all schemas. Tests validate real answers against them, so that the two cannot drift apart."""

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """Refuses unknown members, because tests validate the service's answers with these models."""

    model_config = ConfigDict(extra="forbid")
