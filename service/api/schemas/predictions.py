"""Predictions, each with its stability."""

from typing import Literal

from pydantic import Field

from chainzrule.service.api.schemas.schema import Schema
from chainzrule.service.artifact.interface import Method


class Stability(Schema):
    """How stable one prediction is under the declared input noise."""

    verdict: Literal["stable", "elevated", "unstable"]
    reasons: list[Literal["flip_probability", "volatility", "out_of_range"]]
    volatility: float = Field(description="standard deviation of the reported output, in its unit")
    percentile: float | None = Field(description="of the volatility among held-out rows; null unless noise_scale is 1")
    gradient_norm: float = Field(description="sensitivity of the scores per noise sigma")
    out_of_range: list[str] = Field(description="features outside the range seen in training")


class LabelStability(Stability):
    """Stability of a predicted label."""

    flip_distance: float | None = Field(description="noise sigmas to the nearest decision boundary; null: none is near")
    flip_probability: float = Field(ge=0, le=1, description="chance that the noise changes the label")
    runner_up: str = Field(description="the label that the noise makes most likely instead")


class NotComputed(Schema):
    """Where stability takes further runs of the model, and this request had none (`measure`, `measured_share`)."""

    verdict: Literal["not_computed"]
    out_of_range: list[str] = Field(description="features outside the range seen in training")


class Classified(Schema):
    """A classification row's answer."""

    label: str
    probabilities: dict[str, float]
    stability: LabelStability | NotComputed


class Graded(Schema):
    """An ordinal row's answer."""

    label: str
    value: float = Field(description="expected number of levels exceeded")
    probabilities: dict[str, float]
    stability: LabelStability


class Estimated(Schema):
    """A regression row's answer."""

    value: float
    stability: Stability | NotComputed


Answer = Classified | Graded | Estimated


class PredictionAnswer(Schema):
    """What `/predict` answers; predictions are in the order of the instances."""

    model: str
    version: str
    method: Method = Field(description="how stability is obtained; analytic is from exact derivatives")
    predictions: list[Answer]
