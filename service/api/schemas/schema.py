"""Defines the base of all schemas. Tests validate real answers against them, so that the two cannot drift apart."""

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """Unknown members are refused: these models are also what tests hold answers against."""

    model_config = ConfigDict(extra="forbid")
