"""Defines the model card, which holds every fact about a model version that is not in its graphs.

The card is the contract between training and service. It is frozen, refuses fields it does not know, and is checked
against itself when it is read, so that whoever holds a `ModelCard` need not check it again.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    model_serializer,
    model_validator,
)

from chainzrule.service.artifact.evidence import Evidence
from chainzrule.service.artifact.features import CategoricalFeature
from chainzrule.service.artifact.interface import Interface
from chainzrule.service.artifact.part import CardPart, Sha256
from chainzrule.service.artifact.upgrade import upgraded
from chainzrule.service.errors import ArtifactError

Role = Literal["model", "jacobian", "layers", "bounds"]
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ModelVersion = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,17}$")]

ORDER = (
    "schema_version", "name", "version", "task", "method", "differences", "draws", "adoption", "target", "target_unit",
    "features", "layout", "noise", "labels", "lenient", "graphs", "reference", "conformity", "novelty", "answers",
    "calibration", "quality", "baselines", "golden", "examples", "provenance",
)  # fmt: skip
"""Gives the order in which a card's fields are written, whichever class they come from."""


class GraphFile(CardPart):
    """One ONNX file of the artifact, `<role>.onnx`."""

    sha256: Sha256
    opset: int = Field(ge=1)


class ModelCard(Evidence, Interface):
    """A model version: its inputs, outputs, graphs, stability reference, quality and origin."""

    schema_version: Literal[1] = 1
    name: ModelName
    version: ModelVersion
    graphs: dict[Role, GraphFile]

    @model_validator(mode="after")
    def _graphs_fit_the_method(self) -> Self:
        if self.method == "analytic":
            if not {"model", "jacobian"} <= set(self.graphs):
                raise ValueError("graphs must hold model and jacobian")
        elif set(self.graphs) != {"model"}:
            raise ValueError(f"graphs of the method {self.method} are model alone")
        return self

    @model_validator(mode="after")
    def _golden_rows_fit(self) -> Self:
        rows = self.golden.features.shape[0] if self.golden.features.shape else 0
        expected = {
            "features": (rows, self.width),
            "scores": (rows, self.scores),
            "covariance": (rows, self.scores, self.scores),
            "jacobian": (rows, self.scores, self.width),
        }
        if self.golden.mean_shift is not None:
            expected["mean_shift"] = (rows, self.scores)
        if (self.golden.novelty is None) != (self.novelty is None):
            raise ValueError("golden novelty and a reference for it go together")
        if self.golden.novelty is not None:
            expected["novelty"] = (rows, 1)
        if self.golden.deviations is not None:
            if self.novelty is None:
                raise ValueError("golden deviations say what makes a row novel, and need novelty")
            expected["deviations"] = (rows, self.width)
        if (self.golden.bounds is None) != ("bounds" not in self.graphs):
            raise ValueError("golden bounds and a bounds graph go together")
        if self.golden.bounds is not None:
            expected["bounds"] = (rows, 2, self.scores)
        for part, shape in expected.items():
            if rows < 1 or getattr(self.golden, part).shape != shape:
                raise ValueError(f"golden {part} must have shape {shape} with at least one row")
        return self

    @model_validator(mode="after")
    def _conformity_fits_the_task(self) -> Self:
        if self.conformity is not None and (self.conformity.scale is None) != (self.task != "regression"):
            raise ValueError("conformity has a scale for a regression, and none for labels")
        if self.conformity is not None and self.conformity.temperature is not None and self.task == "regression":
            raise ValueError("conformity has a temperature for labels, and none for a regression")
        if self.conformity is not None and len(self.conformity.slices) not in (0, len(self.labels) or 4):
            raise ValueError("conformity has a slice for every label, or four for a regression")
        if self.conformity is not None and self.conformity.per_volatility and self.method != "analytic":
            raise ValueError("conformity cannot hang on volatility where that takes further runs")
        return self

    @model_validator(mode="after")
    def _examples_fit(self) -> Self:
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

    @model_serializer(mode="wrap")
    def _in_order(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Writes the fields in `ORDER`, because pydantic would write those of one class after those of the other."""
        content = serialize(self)
        return dict(sorted(content.items(), key=lambda entry: ORDER.index(entry[0])))


def parse_card(text: bytes) -> ModelCard:
    """Returns the card in a JSON text of any schema version.

    Raises:
        ArtifactError: the card is invalid or has a newer schema version; the error names the field, never its value.
    """
    try:
        return ModelCard.model_validate_json(upgraded(text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = "card.json" + "".join(f".{part}" for part in first["loc"])
        # This is the only message of pydantic that quotes the input.
        message = "its kind is not one this service knows" if first["type"] == "union_tag_invalid" else first["msg"]
        raise ArtifactError(message, place) from None
