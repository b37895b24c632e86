"""Defines what a card says about a model's inputs and outputs, and about the method that gives its stability."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from chainzrule.service.artifact.features import CategoricalFeature, Feature, Layout, NumericFeature
from chainzrule.service.artifact.noise import NoiseModel
from chainzrule.service.artifact.part import CardPart, Label

MAX_SCORES = 64
MAX_PROBED_COLUMNS = 4096  # central differences run two further rows for every column of a row

Task = Literal["classification", "regression", "ordinal"]
Method = Literal["analytic", "finite_difference", "monte_carlo"]


class Differences(CardPart):
    """Central differences, which the service takes with two further rows a column."""

    step: float = Field(gt=0, le=1, description="how far to go each way, in standard deviations of the feature")


class Draws(CardPart):
    """Noise draws, the same for every row."""

    count: int = Field(ge=64, le=2**16, multiple_of=2, description="a row; every second is its predecessor's opposite")
    seed: int = Field(ge=0, lt=2**32)


class Interface(CardPart):
    """Holds what a model takes and gives. With the graphs, it is all that is needed to run and measure the model."""

    task: Task
    method: Method = Field(
        description="how stability is obtained: by exact derivatives in the graphs, by differences, by drawing noise"
    )
    differences: Differences | None = Field(default=None, description="of method finite_difference")
    draws: Draws | None = Field(default=None, description="of method monte_carlo")
    target: str = Field(description="name of what is predicted")
    target_unit: str | None = None
    features: tuple[Feature, ...] = Field(min_length=1)
    layout: Layout | None = None
    noise: NoiseModel | None = Field(
        default=None, description="how the features' noise is distributed; absent: independent and normal"
    )
    labels: tuple[Label, ...] = ()
    lenient: bool | None = Field(
        default=None,
        description="whether a row's further members are ignored, missing ones are gaps, and numbers may be texts",
    )

    @model_validator(mode="after")
    def _features_are_distinct(self) -> Self:
        names = [feature.name for feature in self.features]
        if len(set(names)) != len(names):
            raise ValueError("feature names repeat")
        if self.layout and not (len(names) == 1 and isinstance(self.features[0], NumericFeature)):
            raise ValueError("an image card has one numeric feature, which describes every pixel")
        return self

    @model_validator(mode="after")
    def _noise_fits_the_features(self) -> Self:
        numeric = {feature.name for feature in self.features if isinstance(feature, NumericFeature)}
        groups = () if self.noise is None else self.noise.groups
        if self.layout and groups:
            raise ValueError("an image card has no groups of features whose noise is correlated")
        if any(name not in numeric for group in groups for name in group.features):
            raise ValueError("noise is correlated between features that are not numeric features of the card")
        return self

    @model_validator(mode="after")
    def _labels_fit_the_task(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels repeat")
        minimum = {"classification": 2, "ordinal": 3, "regression": 0}[self.task]
        if len(self.labels) < minimum or (self.task == "regression" and self.labels):
            raise ValueError(f"a {self.task} card cannot have {len(self.labels)} labels")
        if self.scores > MAX_SCORES:
            raise ValueError(f"more than {MAX_SCORES} scores")
        return self

    @model_validator(mode="after")
    def _method_can_be_used(self) -> Self:
        """Checks that the method has its settings, and that the service can run as many further rows as it takes."""
        if (self.differences is None) == (self.method == "finite_difference"):
            raise ValueError("differences belong to the method finite_difference")
        if (self.draws is None) == (self.method == "monte_carlo"):
            raise ValueError("draws belong to the method monte_carlo")
        if self.method == "analytic":
            return self
        if self.width > MAX_PROBED_COLUMNS:
            raise ValueError(f"the method {self.method} takes at most {MAX_PROBED_COLUMNS} columns")
        if self.task == "ordinal":
            raise ValueError(f"an ordinal card cannot have the method {self.method}")
        if not any(isinstance(feature, NumericFeature) for feature in self.features):
            raise ValueError(f"the method {self.method} takes at least one numeric feature")
        return self

    @model_validator(mode="after")
    def _monotone_effects_are_defined(self) -> Self:
        declared = any(isinstance(feature, NumericFeature) and feature.monotone for feature in self.features)
        if declared and (self.layout or (self.task == "classification" and len(self.labels) > 2)):
            raise ValueError("a monotone effect is one on a value, or on the second of two labels; images have none")
        return self

    @property
    def scores(self) -> int:
        """Returns the number of scores S: K for classification, K - 1 for ordinal, 1 for regression."""
        return {"classification": len(self.labels), "ordinal": len(self.labels) - 1, "regression": 1}[self.task]

    @property
    def width(self) -> int:
        """Returns the number of input columns D: one for a numeric feature, one for each level of a categorical one."""
        if self.layout:
            return self.layout.height * self.layout.width
        return sum(1 if isinstance(feature, NumericFeature) else len(feature.levels) for feature in self.features)

    def inputs(self) -> Iterator[NumericFeature | CategoricalFeature]:
        """Yields the features as the caller sends them: those of the card, or one for every pixel of an image."""
        if self.layout is None:
            yield from self.features
            return
        pixel = self.features[0]
        for row in range(self.layout.height):
            for column in range(self.layout.width):
                yield pixel.model_copy(update={"name": f"{pixel.name}_{row}_{column}"})
