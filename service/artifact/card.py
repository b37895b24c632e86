"""The model card: every fact about a model version that is not in its graphs.

The card is the contract between training and service. It is frozen, refuses fields it does not know, and is checked
against itself when it is read, so that whoever holds a `ModelCard` need not check it again.
"""

import base64
import binascii
import math
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from chainzrule.service.errors import ArtifactError

SCHEMA_VERSION: Literal[1] = 1
MAX_SCORES = 64
MAX_PROBED_COLUMNS = 4096  # without derivatives of its own, a row costs two further rows a column
QUANTILES = 101  # the minimum, the percentiles 1 to 99 and the maximum

Role = Literal["model", "jacobian", "layers", "bounds"]
Task = Literal["classification", "regression", "ordinal"]
Method = Literal["analytic", "finite_difference", "monte_carlo"]
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ModelVersion = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,8}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class CardModel(BaseModel):
    """Frozen, strict about unknown fields, and without NaN or infinity anywhere."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NumericFeature(CardModel):
    """A number in its own unit. The graph standardises it with `mean` and `std`."""

    kind: Literal["numeric"] = "numeric"
    name: Label
    unit: str | None = None
    mean: float
    std: float = Field(gt=0)
    low: float = Field(description="smallest value seen in training")
    high: float = Field(description="largest value seen in training")
    noise: float = Field(ge=0, description="one standard deviation of measurement noise, in the feature's unit")
    fill: float | None = Field(default=None, description="stands in for a gap; absent where training saw none")
    monotone: Literal["increasing", "decreasing"] | None = Field(
        default=None,
        description="what the value, or the second of two labels' probability, is declared to do as the feature rises",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class CategoricalFeature(CardModel):
    """One of `levels`; the service encodes it one-hot, in the card's order."""

    kind: Literal["categorical"] = "categorical"
    name: Label
    levels: tuple[Label, ...] = Field(min_length=2)
    fill: Label | None = Field(default=None, description="the level that stands for a gap")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.levels)) != len(self.levels):
            raise ValueError("levels repeat")
        if self.fill is not None and self.fill not in self.levels:
            raise ValueError("fill is not one of the levels")
        return self


Feature = Annotated[NumericFeature | CategoricalFeature, Field(discriminator="kind")]


class Layout(CardModel):
    """An image's shape. The card then has one numeric feature, which describes every pixel, row by row."""

    height: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)


class GraphFile(CardModel):
    """One ONNX file of the artifact, `<role>.onnx`."""

    sha256: Sha256
    opset: int = Field(ge=1)


class Tensor(CardModel):
    """A float32 array: row-major, little-endian, base64."""

    shape: tuple[Annotated[int, Field(ge=0)], ...]
    data: str

    @model_validator(mode="after")
    def _sized(self) -> Self:
        if len(self.raw) != 4 * math.prod(self.shape):
            raise ValueError("data does not fill the shape")
        return self

    @property
    def raw(self) -> bytes:
        """The bytes of the array."""
        try:
            return base64.b64decode(self.data, validate=True)
        except binascii.Error:
            raise ValueError("data is not base64") from None

    @classmethod
    def from_bytes(cls, shape: tuple[int, ...], raw: bytes) -> "Tensor":
        """Wrap little-endian float32 bytes."""
        return cls(shape=shape, data=base64.b64encode(raw).decode())


class Golden(CardModel):
    """Synthetic rows (drawn inside the training range, never people's data) with the outputs that they must give."""

    features: Tensor = Field(description="(rows, D)")
    scores: Tensor = Field(description="(rows, S)")
    covariance: Tensor = Field(description="(rows, S, S)")
    jacobian: Tensor = Field(description="(rows, S, D)")
    mean_shift: Tensor | None = Field(default=None, description="(rows, S), where the model graph has that output")
    bounds: Tensor | None = Field(
        default=None, description="(rows, 2, S) least and largest scores within a tenth of a noise sigma"
    )


class Distribution(CardModel):
    """Mean and the 0th to 100th percentiles of a quantity over the held-out rows."""

    mean: float
    quantiles: tuple[float, ...] = Field(min_length=QUANTILES, max_length=QUANTILES)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if any(low > high for low, high in zip(self.quantiles, self.quantiles[1:], strict=False)):
            raise ValueError("quantiles fall")
        return self


class Reference(CardModel):
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


class ReliabilityBin(CardModel):
    """Rows whose stated flip probability lies in the same fifteenth of 0 to 1."""

    rows: int = Field(ge=1)
    stated: float = Field(ge=0, le=1, description="their mean flip probability")
    seen: float = Field(ge=0, le=1, description="how often their labels really changed")


class NoiseCalibration(CardModel):
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


class Calibration(CardModel):
    """How true the stability measures are: held-out rows, run again with drawn noise."""

    rows: int = Field(ge=1)
    draws: int = Field(ge=2, description="a row")
    seed: int
    noise_scales: tuple[NoiseCalibration, ...]


class Baseline(CardModel):
    """A standard network trained on the same rows for the same epochs, for comparison."""

    method: str
    parameters: int = Field(ge=1)
    quality: dict[str, float]


class Example(CardModel):
    """A real row, in the card only where the trainer's user asked for it."""

    label: Label | None = Field(default=None, description="what it really is; absent for a regression")
    features: tuple[float | Label, ...] = Field(description="as a caller sends them, in the card's order")


class Provenance(CardModel):
    """Where the artifact comes from."""

    config_sha256: Sha256
    data_sha256: Sha256
    seed: int
    training_rows: int = Field(ge=1)
    parameters: int = Field(ge=1)
    versions: dict[str, str]


class Differences(CardModel):
    """Central differences, which the service takes with two further rows a column."""

    step: float = Field(gt=0, le=1, description="how far to go each way, in standard deviations of the feature")


class Draws(CardModel):
    """Noise draws, the same for every row."""

    count: int = Field(ge=64, le=2**16, multiple_of=2, description="a row; every second is its predecessor's opposite")
    seed: int = Field(ge=0, lt=2**32)


class Adoption(CardModel):
    """Where an adopted model comes from, and how each of the card's numbers was obtained."""

    source_sha256: Sha256 = Field(description="of the ONNX file as it was given")
    producer: str = Field(description="what the file says it was made by")
    source_difference: float = Field(
        ge=0, description="largest difference of the artifact's outputs from those of the file as it was given"
    )
    expected_difference: float | None = Field(
        default=None, ge=0, description="the same from the predictions that the user gave; null where none were given"
    )
    jacobian_difference: float | None = Field(
        default=None,
        ge=0,
        description="of the derivatives from central differences, relative to the row's largest; median over the rows",
    )
    obtained: dict[str, str] = Field(description="by number: how it was obtained, and what it is not")


class ModelCard(CardModel):
    """A model version: its inputs, outputs, graphs, stability reference, quality and origin."""

    schema_version: Literal[1] = 1
    name: ModelName
    version: ModelVersion
    task: Task
    method: Method = Field(
        description="how stability is obtained: by exact derivatives in the graphs, by differences, by drawing noise"
    )
    differences: Differences | None = Field(default=None, description="of method finite_difference")
    draws: Draws | None = Field(default=None, description="of method monte_carlo")
    adoption: Adoption | None = Field(default=None, description="of a model that was trained elsewhere")
    target: str = Field(description="name of what is predicted")
    target_unit: str | None = None
    features: tuple[Feature, ...] = Field(min_length=1)
    layout: Layout | None = None
    labels: tuple[Label, ...] = ()
    graphs: dict[Role, GraphFile]
    reference: Reference
    calibration: Calibration | None = None
    quality: dict[str, float]
    baselines: tuple[Baseline, ...] = ()
    golden: Golden
    examples: tuple[Example, ...] | None = Field(
        default=None, description="rows for people to start from; only where the trainer's user asked for them"
    )
    provenance: Provenance

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [feature.name for feature in self.features]
        if len(set(names)) != len(names):
            raise ValueError("feature names repeat")
        if self.layout and not (len(names) == 1 and isinstance(self.features[0], NumericFeature)):
            raise ValueError("an image card has one numeric feature, which describes every pixel")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels repeat")
        least = {"classification": 2, "ordinal": 3, "regression": 0}[self.task]
        if len(self.labels) < least or (self.task == "regression" and self.labels):
            raise ValueError(f"a {self.task} card cannot have {len(self.labels)} labels")
        if self.scores > MAX_SCORES:
            raise ValueError(f"more than {MAX_SCORES} scores")
        return self

    @model_validator(mode="after")
    def _golden_fits(self) -> Self:
        rows = self.golden.features.shape[0] if self.golden.features.shape else 0
        expected = {
            "features": (rows, self.width),
            "scores": (rows, self.scores),
            "covariance": (rows, self.scores, self.scores),
            "jacobian": (rows, self.scores, self.width),
        }
        if self.golden.mean_shift is not None:
            expected["mean_shift"] = (rows, self.scores)
        if (self.golden.bounds is None) != ("bounds" not in self.graphs):
            raise ValueError("golden bounds and a bounds graph go together")
        if self.golden.bounds is not None:
            expected["bounds"] = (rows, 2, self.scores)
        for part, shape in expected.items():
            if rows < 1 or getattr(self.golden, part).shape != shape:
                raise ValueError(f"golden {part} must have shape {shape} with at least one row")
        return self

    @model_validator(mode="after")
    def _obtained(self) -> Self:
        """The method has its parts, and a model that the service has to probe is one that it can."""
        if (self.differences is None) == (self.method == "finite_difference"):
            raise ValueError("differences belong to the method finite_difference")
        if (self.draws is None) == (self.method == "monte_carlo"):
            raise ValueError("draws belong to the method monte_carlo")
        if self.method == "analytic":
            if not {"model", "jacobian"} <= set(self.graphs):
                raise ValueError("graphs must hold model and jacobian")
            return self
        if set(self.graphs) != {"model"}:
            raise ValueError(f"graphs of the method {self.method} are model alone")
        if self.width > MAX_PROBED_COLUMNS:
            raise ValueError(f"the method {self.method} takes at most {MAX_PROBED_COLUMNS} columns")
        if self.task == "ordinal":
            raise ValueError(f"an ordinal card cannot have the method {self.method}")
        if any(isinstance(feature, CategoricalFeature) for feature in self.features):
            raise ValueError(f"the method {self.method} takes numeric features only")
        return self

    @model_validator(mode="after")
    def _exemplary(self) -> Self:
        features = list(self.inputs()) if self.examples else []
        for number, example in enumerate(self.examples or ()):
            if example.label is not None and example.label not in self.labels:
                raise ValueError(f"examples[{number}] has a label that the card lacks")
            if len(example.features) != len(features):
                raise ValueError(f"examples[{number}] must have {len(features)} features")
            for value, feature in zip(example.features, features, strict=True):
                fits = value in feature.levels if isinstance(feature, CategoricalFeature) else isinstance(value, float)
                if not fits:
                    raise ValueError(f"examples[{number}] does not fit {feature.name}")
        return self

    @model_validator(mode="after")
    def _directed(self) -> Self:
        declared = any(isinstance(feature, NumericFeature) and feature.monotone for feature in self.features)
        if declared and (self.layout or (self.task == "classification" and len(self.labels) > 2)):
            raise ValueError("a monotone effect is one on a value, or on the second of two labels; images have none")
        return self

    @property
    def scores(self) -> int:
        """Number of scores S: K for classification, K - 1 for ordinal, 1 for regression."""
        return {"classification": len(self.labels), "ordinal": len(self.labels) - 1, "regression": 1}[self.task]

    @property
    def width(self) -> int:
        """Number of graph inputs D: a numeric feature takes one, a categorical one as many as it has levels."""
        if self.layout:
            return self.layout.height * self.layout.width
        return sum(1 if isinstance(feature, NumericFeature) else len(feature.levels) for feature in self.features)

    def score_names(self) -> list[str]:
        """What each score stands for: a label, exceeding a level, or the target."""
        if self.task == "ordinal":
            return [f"> {label}" for label in self.labels[:-1]]
        return list(self.labels) or [self.target]

    def inputs(self) -> Iterator[NumericFeature | CategoricalFeature]:
        """The features as the caller sends them: those of the card, or one for every pixel of an image."""
        if self.layout is None:
            yield from self.features
            return
        pixel = self.features[0]
        for row in range(self.layout.height):
            for column in range(self.layout.width):
                yield pixel.model_copy(update={"name": f"{pixel.name}_{row}_{column}"})


def parse_card(text: bytes) -> ModelCard:
    """Read a card from JSON; raises `ArtifactError` that names the field, never its value."""
    try:
        version = _SchemaVersion.model_validate_json(text).schema_version
        if version != SCHEMA_VERSION:
            raise ArtifactError(
                f"schema_version {version} is unknown; this service reads {SCHEMA_VERSION}", "card.json"
            )
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = "card.json" + "".join(f".{part}" for part in first["loc"])
        # The only message of pydantic's that quotes the input.
        message = "its kind is not one this service knows" if first["type"] == "union_tag_invalid" else first["msg"]
        raise ArtifactError(message, place) from None


class _SchemaVersion(BaseModel):
    schema_version: int
