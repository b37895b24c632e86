"""What all schemas share. Tests validate real answers against them, so that neither drifts from the other."""

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """Unknown members are refused: these models are also what tests hold answers against."""

    model_config = ConfigDict(extra="forbid")
