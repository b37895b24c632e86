"""Holds answers. What the service says beyond the members here is in each row's `document`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar, overload


@dataclass(frozen=True)
class Stability:
    """Says how stable a prediction is; what the task does not have is None.

    Attributes:
        verdict: `stable`, `elevated`, `unstable`, `not_measurable` or `not_computed`.
        reasons: why it is not stable.
        volatility: the standard deviation of the output under the declared noise.
        percentile: of the volatility among held-out rows.
        gradient_norm: how much the output changes for one sigma of noise.
        flip_probability: the chance that the noise changes the label.
        flip_distance: the number of noise sigmas to the nearest decision boundary.
        runner_up: the label that it would be instead.
        out_of_range: the features outside the range seen in training.
        method: how this row was measured.
    """

    verdict: str
    reasons: Sequence[str] = ()
    volatility: float | None = None
    percentile: float | None = None
    gradient_norm: float | None = None
    flip_probability: float | None = None
    flip_distance: float | None = None
    runner_up: str | None = None
    out_of_range: Sequence[str] = ()
    method: str | None = None


@dataclass(frozen=True)
class Novelty:
    """Says how unlike the training rows a row is: its percentile among held-out rows, and what does not fit."""

    percentile: float
    features: Sequence[str] | None = None


@dataclass(frozen=True)
class Decision:
    """Says what the policy for the model decided about a row."""

    action: str
    causes: Sequence[str] = ()
    review: bool = False
    model: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Prediction:
    """Holds the answer to one row; what the task does not have, and what a policy withholds, is None."""

    stability: Stability
    document: Mapping[str, Any]
    label: str | None = None
    value: float | None = None
    probabilities: Mapping[str, float] | None = None
    set: Sequence[str] | None = None
    interval: Sequence[float | None] | None = None
    novelty: Novelty | None = None
    decision: Decision | None = None


@dataclass(frozen=True)
class Sensitivity:
    """Says what one feature does to the output; a category has `switch`, the change at every other level."""

    feature: str
    value: float | str
    gradient: float | None = None
    effect: float | None = None
    share: float | None = None
    switch: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Certificate:
    """Says what is guaranteed while a row's inputs stay in a box; see the service's documentation of certificates."""

    scores: Mapping[str, Sequence[float | None]]
    label_is_certain: bool | None = None
    largest: float | None = None
    probabilities: Mapping[str, Sequence[float | None]] | None = None
    value: Sequence[float | None] | None = None
    labels: Sequence[str] | None = None
    set: Sequence[str] | None = None
    interval: Sequence[float | None] | None = None


@dataclass(frozen=True)
class Explanation(Prediction):
    """Holds the answer to one row with its sensitivities, the strongest first, and what else was asked for."""

    sensitivities: Sequence[Sensitivity] = ()
    certificate: Certificate | None = None
    monte_carlo: Mapping[str, Any] | None = None
    jacobian: Sequence[Sequence[float]] | None = None


Row = TypeVar("Row", bound=Prediction)


@dataclass(frozen=True)
class Answers(Sequence[Row], Generic[Row]):
    """Holds the answers to a question's rows, in their order.

    Attributes:
        model: the model that answered.
        version: its version.
        confidence: with which each set or interval holds the truth.
        rows: the answers.
        document: all that the service said.
        index: the index of the DataFrame that was asked about, if it was one.
    """

    model: str
    version: str
    confidence: float
    rows: Sequence[Row]
    document: Mapping[str, Any]
    index: Any = None

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | Sequence[Row]:
        """Returns one row's answer, or those of some."""
        return self.rows[at]

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        """Yields each row's answer."""
        return iter(self.rows)

    def frame(self) -> Any:
        """Returns a pandas DataFrame with a column for each simple member, and the index of the one asked about."""
        import pandas as pd

        return pd.DataFrame([_flat(row) for row in self.rows], index=self.index)


def read_answers(kind: type[Row], document: Mapping[str, Any], index: Any) -> Answers[Row]:
    """Returns the answers in the JSON of `/predict` or `/sensitivity`."""
    rows = [_row(kind, row) for row in document["predictions"]]
    return Answers(document["model"], document["version"], document["confidence"], rows, document, index)


def _row(kind: type[Row], document: Mapping[str, Any]) -> Row:
    members = _known(kind, document)
    members["document"] = document
    members["stability"] = Stability(**_known(Stability, document["stability"]))
    for name, part in (("novelty", Novelty), ("decision", Decision), ("certificate", Certificate)):
        if members.get(name) is not None:
            members[name] = part(**_known(part, members[name]))
    if "sensitivities" in members:
        members["sensitivities"] = [Sensitivity(**_known(Sensitivity, one)) for one in members["sensitivities"]]
    return kind(**members)


def _known(kind: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the members that this version of the client knows."""
    return {field.name: document[field.name] for field in fields(kind) if field.name in document}


def _flat(row: Prediction) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("label", "value"):
        if name in row.document:
            found[name] = getattr(row, name)
    for label, probability in (row.probabilities or {}).items():
        found[f"probability_{label}"] = probability
    if row.interval is not None:
        found["interval_low"], found["interval_high"] = row.interval
    if row.set is not None:
        found["set"] = list(row.set)
    if row.novelty is not None:
        found["novelty"] = row.novelty.percentile
    stability = row.document["stability"]
    found |= {name: value for name, value in stability.items() if not isinstance(value, list)}
    found["reasons"] = list(row.stability.reasons)
    if row.decision is not None:
        found["decision"] = row.decision.action
    return found
