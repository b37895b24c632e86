"""Defines what a card says about a model's measurement and origin."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chainzrule.service.artifact.part import CardPart, Label, Sha256
from chainzrule.service.artifact.tensor import Tensor

QUANTILES = 101  # these are the minimum, the percentiles 1 to 99 and the maximum
MAX_ERRORS = 1000  # with more rows than this, every n-th error of a `Conformity` is kept
SLICED = (0.8, 0.9, 0.95)  # the confidences at which a card says how often regions hold the truth, by slice

Share = Annotated[float, Field(ge=0, le=1)]


class Golden(CardPart):
    """Synthetic rows (drawn inside the training range, never people's data) with the outputs that they must give."""

    features: Tensor = Field(description="(rows, D)")
    scores: Tensor = Field(description="(rows, S)")
    covariance: Tensor = Field(description="(rows, S, S)")
    jacobian: Tensor = Field(description="(rows, S, D)")
    mean_shift: Tensor | None = Field(default=None, description="(rows, S), where the model graph has that output")
    novelty: Tensor | None = Field(default=None, description="(rows, 1), where the model graph has that output")
    deviations: Tensor | None = Field(default=None, description="(rows, D), where the model graph has that output")
    bounds: Tensor | None = Field(
        default=None, description="(rows, 2, S) least and largest scores within a tenth of a noise sigma"
    )


class Distribution(CardPart):
    """Mean and the 0th to 100th percentiles of a quantity over the held-out rows."""

    mean: float
    quantiles: tuple[float, ...] = Field(min_length=QUANTILES, max_length=QUANTILES)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if any(low > high for low, high in zip(self.quantiles, self.quantiles[1:], strict=False)):
            raise ValueError("quantiles fall")
        return self


class Reference(CardPart):
    """How stable the model was on rows it was not fitted to; live traffic is compared with this."""

    rows: int = Field(ge=1)
    out_of_fold: bool = Field(description="rows scored by models fitted without them, where data are few")
    volatility: Distribution
    gradient_norm: Distribution
    flip_probability: Distribution | None = Field(
        default=None, description="chance that the noise changes the label; absent for a regression"
    )
    layer_norms: tuple[Distribution, ...] | None = Field(
        default=None, description="norm of the derivative after each layer, per noise sigma; the last is gradient_norm"
    )
    gradient_tail_ratio: float = Field(ge=0)
    out_of_range_rate: float = Field(ge=0, le=1, description="share of rows with a feature outside its range")
    uninformative: bool | None = Field(
        default=None,
        description="whether the answers were no better, beyond chance, than the labels' frequencies or the mean; "
        "absent where nobody looked",
    )


class Slice(CardPart):
    """How often the regions of some held-out rows hold the truth, at each confidence of `SLICED`."""

    rows: int = Field(ge=0)
    coverage: tuple[Share, Share, Share] | None = Field(
        default=None, description="at 80%, 90% and 95%; null where there is no row"
    )


class Conformity(CardPart):
    """How far the truth lay from the answers to held-out rows; sets of labels, intervals and close calls follow."""

    rows: int = Field(ge=1)
    out_of_fold: bool = Field(description="rows scored by models fitted without them, where data are few")
    scale: float | None = Field(
        default=None,
        gt=0,
        description="regression: the expected distance where the answer has no volatility; null for labels",
    )
    per_volatility: float = Field(
        default=0.0, ge=0, description="regression: the expected distance that each unit of volatility adds"
    )
    temperature: float | None = Field(
        default=None,
        gt=0,
        description="labels: divides the scores for the chance that the label is right; absent: no close calls",
    )
    errors: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        min_length=1,
        max_length=MAX_ERRORS,
        description="ascending; labels: -log p of the true one; regression: the distance over the expected one",
    )
    slices: tuple[Slice, ...] = Field(
        default=(), description="by true label, in their order; regression: by quarter of the predicted number"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if any(low > high for low, high in pairwise(self.errors)):
            raise ValueError("errors fall")
        if self.per_volatility and self.scale is None:
            raise ValueError("per_volatility is of a regression")
        if len(self.errors) != min(self.rows, MAX_ERRORS):
            raise ValueError(f"errors must be those of all rows, or {MAX_ERRORS} of them")
        return self


class Novelty(CardPart):
    """How unlike the training rows those were that the model was not fitted to; live rows are ranked among them."""

    rows: int = Field(ge=1)
    out_of_fold: bool = Field(description="rows scored by models fitted without them, where data are few")
    surprise: Distribution = Field(
        description="the graph's output `novelty`, minus the logarithm of the share of rows that are as unusual, summed"
    )


class Counts(CardPart):
    """How many rows fall in each of some intervals."""

    edges: tuple[float, ...] = Field(description="ascending, between the intervals; a row at an edge lies above it")
    rows: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.rows) != len(self.edges) + 1:
            raise ValueError("there must be one interval more than edges")
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError("edges must rise")
        return self


class Answers(CardPart):
    """What the model answered to held-out rows; live answers are compared with it."""

    rows: int = Field(ge=1)
    labels: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        default=None, description="rows by predicted label, in their order; absent for a regression"
    )
    probability: Counts | None = Field(
        default=None, description="of the predicted label, to three digits; absent for a regression"
    )
    value: Counts | None = Field(default=None, description="regression: the predicted number")


class ReliabilityBin(CardPart):
    """Rows whose stated flip probability lies in the same fifteenth of 0 to 1."""

    rows: int = Field(ge=1)
    stated: float = Field(ge=0, le=1, description="their mean flip probability")
    seen: float = Field(ge=0, le=1, description="how often their labels really changed")


class NoiseCalibration(CardPart):
    """The measures at one noise scale against draws; what is about labels is null for a regression."""

    noise_scale: float = Field(gt=0)
    volatility_rows: int = Field(ge=0, description="rows that move enough to compare: classification, by over 0.01")
    volatility_ratio: tuple[float, float, float] | None = Field(
        default=None, description="5th, 50th and 95th percentile over those rows of volatility over the draws' spread"
    )
    flip_rate: float | None = Field(default=None, description="share of the draws that changed the label")
    calibration_error: float | None = Field(default=None, description="expected calibration error, 15 equal bins")
    brier_skill: float | None = Field(default=None, description="of the rows' chances, against always their mean")
    uncertain_rows: int | None = Field(default=None, description="rows that really flip in 2% to 98% of the draws")
    uncertain_error: float | None = Field(default=None, description="mean absolute error of the chance on those")
    auroc: float | None = Field(default=None, description="which rows flip in at least 5% of the draws")
    auroc_softmax: float | None = Field(default=None, description="the same by the largest probability alone")
    auroc_draws: float | None = Field(default=None, description="which single draws flip")
    auroc_draws_softmax: float | None = Field(default=None, description="the same by the largest probability alone")
    auroc_draws_best: float | None = Field(default=None, description="the same by the rows' own shares of flips")
    reliability: tuple[ReliabilityBin, ...] = ()


class Calibration(CardPart):
    """How true the stability measures are: held-out rows, run again with drawn noise."""

    rows: int = Field(ge=1)
    draws: int = Field(ge=2, description="a row")
    seed: int
    noise_scales: tuple[NoiseCalibration, ...]


class Baseline(CardPart):
    """A standard network trained on the same rows for the same epochs, for comparison."""

    method: str
    parameters: int = Field(ge=1)
    quality: dict[str, float]


ExampleKind = Literal["typical", "borderline", "novel"]


class Example(CardPart):
    """A real row, in the card only where the trainer's user asked for it."""

    kind: ExampleKind | None = Field(
        default=None, description="why it was chosen: as usual, easily changed by noise, or unlike the others"
    )
    label: Label | None = Field(default=None, description="what it really is; absent for a regression")
    features: tuple[float | Label, ...] = Field(description="as a caller sends them, in the card's order")


class Provenance(CardPart):
    """Where the artifact comes from."""

    config_sha256: Sha256
    data_sha256: Sha256
    seed: int
    training_rows: int = Field(ge=1)
    parameters: int = Field(ge=1)
    versions: dict[str, str]


class Adoption(CardPart):
    """Where an adopted model comes from, and how each of the card's numbers was obtained."""

    source_sha256: Sha256 = Field(description="of the ONNX file as it was given")
    producer: str = Field(description="what the file says it was made by")
    source_difference: float = Field(
        ge=0, description="largest difference of the artifact's outputs from those of the file as it was given"
    )
    expected_difference: float | None = Field(
        default=None, ge=0, description="the same from the predictions that the user gave; null where none were given"
    )
    expected_rows_off: int | None = Field(
        default=None, ge=0, description="in how many rows of the sample that difference is over 1e-5"
    )
    tolerance: float | None = Field(
        default=None, gt=0, description="the largest such difference that was accepted when the model was adopted"
    )
    jacobian_difference: float | None = Field(
        default=None,
        ge=0,
        description="of the derivatives from central differences, relative to the row's largest; median over the rows",
    )
    obtained: dict[str, str] = Field(description="by number: how it was obtained, and what it is not")


class Evidence(CardPart):
    """Holds what is known about a model. It is not needed to run the model, only to judge its answers."""

    reference: Reference
    conformity: Conformity | None = Field(default=None, description="absent: no sets, no intervals")
    novelty: Novelty | None = Field(default=None, description="absent: no row is judged by its likeness to training")
    answers: Answers | None = Field(default=None, description="absent: live answers are compared with nothing")
    calibration: Calibration | None = None
    quality: dict[str, float]
    baselines: tuple[Baseline, ...] = ()
    golden: Golden
    examples: tuple[Example, ...] | None = Field(
        default=None, description="rows for people to start from; only where the trainer's user asked for them"
    )
    provenance: Provenance
    adoption: Adoption | None = Field(default=None, description="of a model that was trained elsewhere")
