"""Describes the answers about the models in the repository, and about how stable their traffic is."""

from typing import Literal

from chainzrule.service.api.schemas.schema import Schema


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


class ModelNames(Schema):
    """What `/v1/models` answers."""

    models: list[str]


class Window(Schema):
    """The rolling window; ratios are null until it holds enough rows."""

    samples: int
    gradient_tail_ratio: float | None
    volatility_reference_ratio: float | None
    volatility_quantiles: dict[str, float]
    verdicts: dict[str, int]
    out_of_range_rate: float | None
    novel_rate: float | None


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
