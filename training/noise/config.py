"""Says in a configuration how large the columns' measurement noise is, and how it is distributed."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chainzrule.service.artifact.noise import Law
from chainzrule.training.section import Section

Share = Annotated[str, Field(pattern=r"^\s*\d+(\.\d*)?\s*%\s*$", description="of the value, such as 5%")]


class ColumnNoise(Section):
    """The noise of one column; what is left out stays as it is."""

    sd: float | None = Field(default=None, ge=0, description="one standard deviation, in the column's unit")
    share: Share | None = Field(default=None, description="what is added to that, as a share of each value: 5%")
    least: float | None = Field(default=None, description="no measurement gives less, such as 0 for a count")
    most: float | None = Field(default=None, description="no measurement gives more")
    misread: float | tuple[tuple[float, ...], ...] | None = Field(
        default=None,
        description="categories: how often a level is taken for another one, or for each level (a row) the chances "
        "that each level is recorded, in their order",
    )


Declared = Annotated[float, Field(strict=True)] | Share | ColumnNoise


class GroupConfig(Section):
    """Columns whose errors move together, because they come off one measurement."""

    columns: tuple[str, ...] = Field(min_length=2)
    correlation: float | Literal["as columns"] | tuple[tuple[float, ...], ...] = Field(
        description="of their errors: one number for all pairs, a matrix, or `as columns`: that of the columns"
    )


class NoiseLawConfig(Section):
    """How the columns' noise is distributed: independent and normal unless this says otherwise."""

    law: Law = Field(default="normal", description="of one column's noise: normal, t (heavy tails) or uniform")
    degrees_of_freedom: float | None = Field(default=None, gt=2, le=1000, description="of the law t, such as 3")
    groups: tuple[GroupConfig, ...] = Field(default=(), description="columns whose errors move together")
    measured: tuple[str, ...] = Field(default=(), description="columns whose noise was measured, from repeats")

    @model_validator(mode="after")
    def _has_its_degrees(self) -> Self:
        if (self.degrees_of_freedom is None) == (self.law == "t"):
            raise ValueError("degrees_of_freedom belong to the law t, which needs them")
        return self
