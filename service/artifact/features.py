"""Defines the features that a model takes, as its caller sends them."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from chainzrule.service.artifact.noise import NoiseSource
from chainzrule.service.artifact.part import CardPart, Label, Text

DateFormat = Literal["iso", "ymd", "dmy", "mdy"]
DatePart = Literal["year", "month", "weekday", "hour"]


class DateSource(CardPart):
    """Where a number comes from that is part of a date: rows that are objects may give the date in its place."""

    column: Label = Field(description="the name by which rows have the date")
    format: DateFormat = Field(description="iso: 2020-12-31T23:59; ymd: 20201231; dmy: 31.12.2020; mdy: 12/31/2020")
    part: DatePart


class Bend(CardPart):
    """The scale on which a graph reads a number of heavy tails: asinh((x - start) / scale), a logarithm of both signs.

    The graph standardises that with the `mean` and `std` here. Callers send the number as it is, and derivatives are
    per its unit.
    """

    start: float = Field(description="where the scale is straight, in the feature's unit")
    scale: float = Field(gt=0, description="how far from there it becomes logarithmic, in the feature's unit")
    mean: float = Field(description="of the training rows, on that scale")
    std: float = Field(gt=0, description="of the training rows, on that scale")


class NumericFeature(CardPart):
    """A number in its own unit. The graph standardises it with `mean` and `std`, or as its `bend` says."""

    kind: Literal["numeric"] = "numeric"
    name: Label
    unit: str | None = None
    description: Text | None = Field(default=None, description="what it is, for people")
    mean: float
    std: float = Field(gt=0)
    low: float = Field(description="smallest value seen in training")
    high: float = Field(description="largest value seen in training")
    noise: float = Field(ge=0, description="one standard deviation of measurement noise, in the feature's unit")
    noise_source: NoiseSource | None = Field(
        default=None, description="where the noise comes from: repeats, the user, or nowhere; absent in older cards"
    )
    noise_share: float | None = Field(
        default=None, gt=0, le=10, description="adds to the noise of a row this share of the value's size"
    )
    least: float | None = Field(default=None, description="no measurement gives less; noise stops there")
    most: float | None = Field(default=None, description="no measurement gives more; noise stops there")
    fill: float | None = Field(default=None, description="stands in for a gap; absent where training saw none")
    gaps: Literal[True] | None = Field(default=None, description="the model itself takes gaps, which reach it as NaN")
    monotone: Literal["increasing", "decreasing"] | None = Field(
        default=None,
        description="what the value, or the second of two labels' probability, is declared to do as the feature rises",
    )
    date: DateSource | None = Field(default=None, description="the date that the number is part of")
    bend: Bend | None = Field(default=None, description="of heavy tails: the scale on which the graph reads the number")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("low is above high")
        if self.least is not None and self.most is not None and self.least >= self.most:
            raise ValueError("least is not below most")
        return self


class CategoricalFeature(CardPart):
    """One of `levels`; the service encodes it one-hot, in the card's order."""

    kind: Literal["categorical"] = "categorical"
    name: Label
    description: Text | None = Field(default=None, description="what it is, for people")
    levels: tuple[Label, ...] = Field(min_length=2)
    meanings: dict[Label, Text] | None = Field(default=None, description="what levels stand for, for people")
    fill: Label | None = Field(default=None, description="the level that stands for a gap")
    other: Label | None = Field(
        default=None, description="the level that stands for one that is not listed; absent where such are refused"
    )
    confusion: tuple[tuple[Annotated[float, Field(ge=0, le=1)], ...], ...] | None = Field(
        default=None,
        description="chance, in the row of the recorded level, that another measurement would record each level; "
        "absent: levels carry no error",
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.levels)) != len(self.levels):
            raise ValueError("levels repeat")
        if self.fill is not None and self.fill not in self.levels:
            raise ValueError("fill is not one of the levels")
        if self.other is not None and self.other not in self.levels:
            raise ValueError("other is not one of the levels")
        if self.confusion is not None:
            count = len(self.levels)
            if len(self.confusion) != count or any(len(row) != count for row in self.confusion):
                raise ValueError(f"confusion must have {count} rows and columns, one for each level")
            if any(abs(sum(row) - 1.0) > 1e-6 for row in self.confusion):
                raise ValueError("each row of confusion must add up to 1")
        if not set(self.meanings or ()) <= set(self.levels):
            raise ValueError("meanings are of levels that there are not")
        return self


Feature = Annotated[NumericFeature | CategoricalFeature, Field(discriminator="kind")]


class Layout(CardPart):
    """An image's shape. The card then has one numeric feature, which describes every pixel, row by row."""

    height: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)


def level_text(value: Any) -> str:
    """Returns the level that a boolean or a number is: booleans as in JSON, whole numbers without a decimal point."""
    if type(value).__name__ in ("bool", "bool_"):  # the names of the types in Python and numpy
        return "true" if value else "false"
    number = float(value)
    return str(int(value)) if number.is_integer() else repr(number)
