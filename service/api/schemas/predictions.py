"""Describes predictions, each with its stability, whose members are those that the measures declare."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model

from chainzrule.service.api.schemas.schema import Schema
from chainzrule.service.artifact.interface import Method
from chainzrule.service.policy.policy import ACTIONS, CAUSES
from chainzrule.service.stability.measures import MEASURES
from chainzrule.service.stability.verdict import REASONS, VERDICTS


class Judged(Schema):
    """Holds a verdict and its reasons."""

    verdict: Literal[VERDICTS]  # type: ignore[valid-type]
    reasons: list[Literal[REASONS]] = Field(  # type: ignore[valid-type]
        description="why it is not stable; of a row that is not measurable, `curvature`, `calibration` and `noise_law` "
        "say why the closed form does not hold, and its measures are null"
    )
    method: Method | None = Field(
        description="how this row was measured: in closed form, by differences, or by draws where these do not hold; "
        "null where the row is not measurable within the limits of a request"
    )


def members(of_labels: bool) -> dict[str, Any]:
    """Returns the members that the measures declare, either those that need labels or those of every task."""
    found: dict[str, Any] = {}
    for measure in MEASURES:
        if measure.needs_labels == of_labels:
            kind, limits = KINDS[measure.kind]
            if not measure.sound:
                kind = kind | None
            found[measure.name] = (kind, Field(description=measure.description, **limits))
            if measure.rank is not None:
                found[measure.rank[0]] = (float | None, Field(description=measure.rank[1]))
    return found


KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "number": (float, {}),
    "distance": (float | None, {}),
    "probability": (float, {"ge": 0, "le": 1}),
    "label": (str | None, {}),  # null where the policy withholds the answer
}

if TYPE_CHECKING:

    class Stability(Judged):
        """Stands for the created model in the type checker."""

    class LabelStability(Stability):
        """Stands for the created model of labels in the type checker."""

else:
    Stability = create_model(
        "Stability",
        __base__=Judged,
        __doc__="How stable one prediction is under the declared input noise.",
        **members(of_labels=False),
        out_of_range=(list[str], Field(description="features outside the range seen in training")),
    )
    LabelStability = create_model(
        "LabelStability", __base__=Stability, __doc__="Stability of a predicted label.", **members(of_labels=True)
    )


class NotComputed(Schema):
    """Where stability takes further runs of the model, and this request had none (`measure`, `measured_share`)."""

    verdict: Literal["not_computed"]
    out_of_range: list[str] = Field(description="features outside the range seen in training")


LabelSet = Annotated[
    list[str] | None,
    Field(
        description="labels among which the true one is, with the confidence asked for; empty where none is likely "
        "enough, null where that is unknown"
    ),
]
Interval = Annotated[
    tuple[float | None, float | None] | None,
    Field(
        description="ends between which the true value lies, with the confidence asked for; an end is null where there "
        "is no limit, and the interval where it is unknown"
    ),
]


class Novelty(Schema):
    """How unlike the training rows this row is, by its inputs and by what the model makes of them."""

    percentile: float = Field(ge=0, le=100, description="of the novelty among held-out rows")
    features: list[str] | None = Field(
        description="of a novel row: those that do not fit the others, the worst first; null where the model cannot say"
    )


NOVELTY = "null where the model version says nothing of it"
WITHHELD = "null where the policy withholds it"


class Decision(Schema):
    """What the policy for the model decided about a row."""

    action: Literal[ACTIONS] = Field(  # type: ignore[valid-type]
        description="answer: given as it is; annotate: given, with a cause to mind; review: given, and a person looks "
        "at it; fallback: another model answers; abstain: withheld"
    )
    causes: list[Literal[CAUSES]] = Field(  # type: ignore[valid-type]
        description="reasons and verdicts that the policy has a rule for"
    )
    review: bool = Field(description="whether a person is to look at the row")
    model: str | None = Field(default=None, description="fallback: the model that answers")
    version: str | None = Field(default=None, description="fallback: its version")


Decided = Annotated[Decision | None, Field(description="absent where the model has no policy")]


class Classified(Schema):
    """A classification row's answer."""

    label: str | None = Field(description=WITHHELD)
    probabilities: dict[str, float] | None = Field(description=WITHHELD)
    set: LabelSet
    novelty: Novelty | None = Field(description=NOVELTY)
    stability: LabelStability | NotComputed
    decision: Decided = None


class Graded(Schema):
    """An ordinal row's answer."""

    label: str | None = Field(description=WITHHELD)
    value: float | None = Field(description=f"expected number of levels exceeded; {WITHHELD}")
    probabilities: dict[str, float] | None = Field(description=WITHHELD)
    set: LabelSet
    novelty: Novelty | None = Field(description=NOVELTY)
    stability: LabelStability
    decision: Decided = None


class Estimated(Schema):
    """A regression row's answer."""

    value: float | None = Field(description=WITHHELD)
    interval: Interval
    novelty: Novelty | None = Field(description=NOVELTY)
    stability: Stability | NotComputed
    decision: Decided = None


Answer = Classified | Graded | Estimated


class PredictionAnswer(Schema):
    """What `/predict` answers; predictions are in the order of the instances."""

    model: str
    version: str
    method: Method = Field(description="how stability is obtained; analytic is from exact derivatives")
    confidence: float = Field(gt=0, lt=1, description="with which each set or interval holds the truth")
    predictions: list[Answer]
