"""Describes the bodies that callers send."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from chainzrule.service.api.schemas.schema import Schema
from chainzrule.service.serving.asked import LARGEST
from chainzrule.service.serving.question import (
    DEFAULT_DRAWS,
    MAX_NOISE_SCALE,
    MAX_RADIUS,
    MAX_SEED,
    MOST_NAMES,
    Direction,
)
from chainzrule.service.stability.conformal import DEFAULT_CONFIDENCE


class NoiseCovariance(Schema):
    """The covariance of some features' noise, which is independent of the others'."""

    features: list[str] = Field(min_length=1, max_length=LARGEST)
    covariance: list[list[float]] = Field(min_length=1, max_length=LARGEST, description="in the features' units")


Noise = Annotated[
    NoiseCovariance | Annotated[dict[str, Annotated[float, Field(ge=0)]], Field(min_length=1)] | None,
    Field(
        description="in place of the card's noise: by feature one standard deviation in its unit, or features and "
        "their covariance. Features that are not named keep theirs. Every row is then measured by draws, not observed"
    ),
]
Row = list[float | str | None] | dict[str, float | str | None]


class Prediction(Schema):
    """`POST /predict`."""

    instances: list[Row] = Field(
        min_length=1, description="rows, as lists in the card's order or as objects by feature name"
    )
    model: str | None = Field(default=None, description="may be left out where one model is the default")
    version: str | None = Field(default=None, description="the newest that is ready, unless given")
    noise_scale: float = Field(default=1.0, gt=0, le=MAX_NOISE_SCALE, description="multiple of the card's noise")
    noise: Noise = None
    confidence: float = Field(
        default=DEFAULT_CONFIDENCE, gt=0, lt=1, description="with which sets and intervals are to hold the truth"
    )
    measure: bool = Field(
        default=False, description="true computes the stability even where that takes further runs of the model"
    )
    observe: bool = Field(default=True, description="false keeps the rows out of volatility metrics and window")


# What can be said of one member alone is said there; these say which members go together.
_DRAWS_NEED_THEIR_METHOD: JsonDict = {
    "anyOf": [
        {"required": ["method"], "properties": {"method": {"const": "monte_carlo"}}},
        {"not": {"anyOf": [{"required": ["draws"]}, {"required": ["seed"]}]}},
    ]
}
_ONE_OF_RADIUS_AND_BOX: JsonDict = {
    "anyOf": [{"properties": {"radius": {"type": "null"}}}, {"properties": {"box": {"type": "null"}}}]
}
_NOISE_WITHOUT_A_BOX: JsonDict = {
    "anyOf": [
        {"properties": {"noise": {"type": "null"}}},
        {"properties": {name: {"type": "null"} for name in ("radius", "box", "counterfactual")}},
    ]
}


_BASELINE_NEEDS_ATTRIBUTIONS: JsonDict = {
    "anyOf": [
        {"required": ["include"], "properties": {"include": {"contains": {"const": "attributions"}}}},
        {"properties": {"baseline": {"type": "null"}}},
    ]
}
_ONE_OF_AT_LEAST_AND_AT_MOST: JsonDict = {
    "anyOf": [{"properties": {"at_least": {"type": "null"}}}, {"properties": {"at_most": {"type": "null"}}}]
}


class Change(Schema):
    """How an answer is to change, and how its row may."""

    model_config = ConfigDict(json_schema_extra={"allOf": [_ONE_OF_AT_LEAST_AND_AT_MOST]})

    label: str | None = Field(default=None, description="the label to reach; any other than the row's, unless given")
    at_least: float | None = Field(default=None, description="regression: the number to reach from below")
    at_most: float | None = Field(default=None, description="regression: the number to reach from above")
    frozen: list[str] = Field(default=[], max_length=MOST_NAMES, description="features that stay as they are")
    monotone: dict[str, Direction] = Field(
        default={}, max_length=MOST_NAMES, description="features that may move in one direction only"
    )
    integer: list[str] = Field(
        default=[], max_length=MOST_NAMES, description="features that may move to whole numbers only"
    )
    sparse: bool = Field(default=False, description="true changes few features rather than all of them a little")


class SensitivityQuestion(Schema):
    """`POST /sensitivity`."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                _DRAWS_NEED_THEIR_METHOD,
                _ONE_OF_RADIUS_AND_BOX,
                _NOISE_WITHOUT_A_BOX,
                _BASELINE_NEEDS_ATTRIBUTIONS,
            ]
        }
    )

    instances: list[Row] = Field(min_length=1)
    model: str | None = None
    version: str | None = None
    noise_scale: float = Field(default=1.0, gt=0, le=MAX_NOISE_SCALE)
    noise: Noise = None
    confidence: float = Field(default=DEFAULT_CONFIDENCE, gt=0, lt=1)
    top: int | None = Field(default=None, ge=1, description="list only the strongest features")
    include: list[Literal["jacobian", "layers", "attributions"]] = Field(default=[])
    method: Literal["analytic", "monte_carlo"] = Field(default="analytic", description="monte_carlo also draws noise")
    draws: int = Field(default=DEFAULT_DRAWS, ge=2, le=2**31, description="monte_carlo: draws of the noise a row")
    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="monte_carlo: of the draws")
    radius: float | None = Field(
        default=None, gt=0, le=MAX_RADIUS, description="certify the box of so many noise sigmas around each row"
    )
    box: dict[str, Annotated[float, Field(ge=0)] | tuple[float, float]] | None = Field(
        default=None,
        min_length=1,
        description="certify a box: by feature a distance to both sides, or the ends; all other features stay",
    )
    baseline: Row | None = Field(
        default=None, description="attributions: the row that they start from; the features' means unless given"
    )
    counterfactual: Change | None = Field(
        default=None, description="seek the smallest change of each row that changes its answer so"
    )
