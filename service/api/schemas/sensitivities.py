"""Describes predictions with their sensitivities, Monte-Carlo estimates and certificates."""

from typing import Literal

from pydantic import Field

from chainzrule.service.api.schemas.predictions import Classified, Estimated, Graded, Interval, LabelSet
from chainzrule.service.api.schemas.schema import Schema
from chainzrule.service.artifact.interface import Method


class NumericSensitivity(Schema):
    """What one numeric feature does to the reported output."""

    feature: str
    value: float
    gradient: float = Field(description="change of the output per raw unit")
    effect: float = Field(description="change of the output that one noise sigma makes")
    share: float = Field(ge=0, le=1, description="share of the output's variance")


class CategoricalSensitivity(Schema):
    """What one categorical feature does to the reported output."""

    feature: str
    value: str
    gradient: None
    effect: None
    share: None
    switch: dict[str, float] = Field(description="change of the output at every other level")


class Violation(Schema):
    """A declared monotone effect that the model breaks."""

    feature: str
    declared: Literal["increasing", "decreasing"]


class LayerReference(Schema):
    """The derivative norm after a layer on the card's held-out rows."""

    mean: float
    p50: float
    p90: float
    p99: float


class MonteCarlo(Schema):
    """The stability measures by drawing the noise, each with its 95% confidence interval."""

    draws: int
    seed: int
    volatility: float = Field(ge=0, description="standard deviation of the reported output over the draws")
    volatility_interval: tuple[float, float]
    flip_probability: float | None = Field(default=None, ge=0, le=1, description="share of draws that change the label")
    flip_probability_interval: tuple[float, float] | None = Field(default=None, description="Wilson's")


Range = tuple[float | None, float | None]


class Certificate(Schema):
    """What is guaranteed while the inputs stay in a box; an end is null where no bound was found."""

    label_is_certain: bool | None = Field(default=None, description="whether the label provably cannot change")
    largest: float | None = Field(
        default=None,
        description="the largest box found in which the label provably cannot change: its radius, or, for a box, the "
        "factor by which it may be stretched about the row; null where no feature may move",
    )
    flip_probability_bound: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="chance, or more, that normal noise, however correlated, leaves the largest box: the label flips no"
        " more often; null where that says nothing",
    )
    scores: dict[str, Range] = Field(description="least and largest scores")
    probabilities: dict[str, Range] | None = None
    value: Range | None = None
    labels: list[str] | None = Field(default=None, description="ordinal: the levels that can be reached")
    set: LabelSet = Field(default=None, description="the row's set, wherever in the box its inputs truly are")
    interval: Interval = Field(default=None, description="the row's interval, wherever in the box its inputs truly are")


class Attribution(Schema):
    """What one feature contributes."""

    feature: str
    value: float | str | None = Field(description="of the row; null where it has a gap")
    baseline: float | str | None = Field(description="where the path begins; null: in equal parts at all levels, a gap")
    attribution: float = Field(description="of the difference between value and baseline_value")


class Attributions(Schema):
    """What each feature contributes to the answer, by integrated gradients from a baseline."""

    of: Literal["lead", "position", "value"] = Field(
        description="what is attributed: the lead of the label's score over another label's, which is the logarithm of "
        "how many times as likely it is; ordinal: the position on the scale that thresholds divide into levels, but "
        "for a constant; regression: the value"
    )
    over: str | None = Field(description="the label that the lead is over, which is the next likely one; else null")
    value: float = Field(description="at the row")
    baseline_value: float = Field(description="at the baseline")
    gap: float = Field(ge=0, description="by how much the contributions miss the difference of the two")
    nodes: int = Field(
        ge=1, description="the number of points between baseline and row at which the gradient was taken"
    )
    features: list[Attribution] = Field(description="strongest first")
    rest: float = Field(description="sum of the contributions that `top` leaves out")


class ChangedFeature(Schema):
    """One feature that the counterfactual changes."""

    feature: str
    value: float | str | None = Field(description="of the row")
    to: float | str
    sigmas: float | None = Field(description="the change in noise sigmas; null for a level")


class Changed(Schema):
    """What the model answers to the changed row."""

    label: str | None = None
    value: float | None = None
    probabilities: dict[str, float] | None = None


class Counterfactual(Schema):
    """The smallest change found that changes the answer as asked."""

    distance: float | None = Field(
        ge=0, description="how many noise sigmas the feature that moves most moves; null where no change was found"
    )
    certified: float | None = Field(
        ge=0,
        description="within so many sigmas, and at the row's own levels, there provably is none; null where the model "
        "version has no bounds graph",
    )
    reason: Literal["none_found", "impossible"] | None = Field(
        description="why there is none; impossible: there provably is none within the ranges"
    )
    changes: list[ChangedFeature] = Field(description="furthest first, levels before numbers")
    prediction: Changed | None = Field(description="what the model answers to the changed row")


class Explained(Schema):
    """Holds the members that sensitivity adds to a row's answer."""

    method: Method = Field(
        description="how they were obtained: analytic is exact, monte_carlo is of the output smoothed by the noise"
    )
    sensitivities: list[NumericSensitivity | CategoricalSensitivity] = Field(description="strongest first")
    jacobian: list[list[float]] | None = Field(default=None, description="d scores / d columns, in raw units")
    layer_norms: list[float] | None = Field(default=None, description="derivative norm after each layer, per sigma")
    layer_percentiles: list[float] | None = Field(
        default=None, description="where each norm lies among the card's held-out rows"
    )
    violations: list[Violation] | None = Field(
        default=None, description="declared effects that the model breaks at this row, where the card declares any"
    )
    monte_carlo: MonteCarlo | None = Field(default=None, description="by method monte_carlo")
    certificate: Certificate | None = Field(default=None, description="with radius or box")
    attributions: Attributions | None = Field(default=None, description="on request")
    counterfactual: Counterfactual | None = Field(default=None, description="on request")


class ExplainedClassified(Explained, Classified):
    """A classification row's sensitivities."""


class ExplainedGraded(Explained, Graded):
    """An ordinal row's sensitivities."""


class ExplainedEstimated(Explained, Estimated):
    """A regression row's sensitivities."""


class JacobianAxes(Schema):
    """What the rows and columns of the Jacobians stand for."""

    scores: list[str]
    columns: list[str]


class SensitivityAnswer(Schema):
    """What `/sensitivity` answers."""

    model: str
    version: str
    confidence: float = Field(gt=0, lt=1, description="with which each set or interval holds the truth")
    predictions: list[ExplainedClassified | ExplainedGraded | ExplainedEstimated]
    jacobian_axes: JacobianAxes | None = None
    layers: list[str] | None = None
    layer_reference: list[LayerReference] | None = Field(default=None, description="in the order of layers")
