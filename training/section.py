"""Defines the base of a configuration's sections."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Is frozen, refuses keys it does not know, and holds no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
