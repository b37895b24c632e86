"""The bodies of the API, for its documentation. Requests are checked and answers written by hand, ahead of pydantic.

Tests validate real answers against these, so that they cannot drift.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from chainzrule.service.artifact.interface import Method
from chainzrule.service.serving.question import DEFAULT_DRAWS, MAX_NOISE_SCALE, MAX_RADIUS, MAX_SEED


class Schema(BaseModel):
    """Unknown members are refused: these models are also what tests hold answers against."""

    model_config = ConfigDict(extra="forbid")


class Prediction(Schema):
    """`POST /predict`."""

    instances: list[list[float | str | None] | dict[str, float | str | None]] = Field(
        min_length=1, description="rows, as lists in the card's order or as objects by feature name"
    )
    model: str | None = Field(default=None, description="may be left out where one model is the default")
    version: str | None = Field(default=None, description="the newest that is ready, unless given")
    noise_scale: float = Field(default=1.0, gt=0, le=MAX_NOISE_SCALE, description="multiple of the card's noise")
    measure: bool = Field(
        default=False, description="true computes the stability even where that takes further runs of the model"
    )
    observe: bool = Field(default=True, description="false keeps the rows out of volatility metrics and window")


class SensitivityQuestion(Schema):
    """`POST /sensitivity`."""

    instances: list[list[float | str | None] | dict[str, float | str | None]] = Field(min_length=1)
    model: str | None = None
    version: str | None = None
    noise_scale: float = Field(default=1.0, gt=0, le=MAX_NOISE_SCALE)
    top: int | None = Field(default=None, ge=1, description="list only the strongest features")
    include: list[Literal["jacobian", "layers"]] = []
    method: Literal["analytic", "monte_carlo"] = Field(default="analytic", description="monte_carlo also draws noise")
    draws: int = Field(default=DEFAULT_DRAWS, ge=2, description="monte_carlo: draws of the noise a row")
    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="monte_carlo: of the draws")
    radius: float | None = Field(
        default=None, gt=0, le=MAX_RADIUS, description="certify the box of so many noise sigmas around each row"
    )
    box: dict[str, Annotated[float, Field(ge=0)] | tuple[float, float]] | None = Field(
        default=None,
        min_length=1,
        description="certify a box: by feature a distance to both sides, or the ends; all other features stay",
    )


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
    scores: dict[str, Range] = Field(description="least and largest scores")
    probabilities: dict[str, Range] | None = None
    value: Range | None = None
    labels: list[str] | None = Field(default=None, description="ordinal: the levels that can be reached")


class Explained(Schema):
    """What sensitivity adds to a row's answer."""

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
    predictions: list[ExplainedClassified | ExplainedGraded | ExplainedEstimated]
    jacobian_axes: JacobianAxes | None = None
    layers: list[str] | None = None
    layer_reference: list[LayerReference] | None = Field(default=None, description="in the order of layers")


class Problem(Schema):
    """Every error (RFC 9457)."""

    type: Annotated[str, Field(pattern="^urn:chainzrule:problem:")]
    title: str
    status: int
    detail: str
    place: str | None = Field(description="where in the request")
    request_id: str | None


class VersionState(Schema):
    """A model version's state."""

    version: str
    state: Literal["LOADING", "READY", "FAILED"]
    reason: str | None
    task: Literal["classification", "regression", "ordinal"] | None


class ListedModel(Schema):
    """A model in the list."""

    name: str
    default: bool
    versions: list[VersionState]


class ModelList(Schema):
    """What `/models` answers."""

    models: list[ListedModel]


class Window(Schema):
    """The rolling window; ratios are null until it holds enough rows."""

    samples: int
    gradient_tail_ratio: float | None
    volatility_reference_ratio: float | None
    volatility_quantiles: dict[str, float]
    verdicts: dict[str, int]
    out_of_range_rate: float | None


class StabilityReference(Schema):
    """The card's reference, shortened."""

    rows: int
    out_of_fold: bool
    gradient_tail_ratio: float
    volatility_mean: float
    volatility_quantiles: dict[str, float]
    out_of_range_rate: float


class StabilityAnswer(Schema):
    """What `/models/{name}/stability` answers."""

    model: str
    version: str
    window: Window
    reference: StabilityReference


class Readiness(Schema):
    """What `/readyz` answers."""

    ready: bool
    draining: bool
    waiting_for: list[str]
    models: dict[str, dict[str, dict[str, str | None]]]
