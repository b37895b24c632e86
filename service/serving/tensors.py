"""Describes a served model to the open inference protocol, as named tensors of numbers or texts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.artifact.features import NumericFeature
from chainzrule.service.errors import InvalidInput
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.stability.link import Link, link_of
from chainzrule.service.stability.measures import measures_of
from chainzrule.service.stability.predictions import Measured, Predictions
from chainzrule.service.stability.verdict import VERDICTS

FEATURES = "features"
NOVELTY = "novelty"
DECISION = "decision"
UNMEASURED = frozenset(
    ("label", "value", "probabilities", "scores", "set", "interval", NOVELTY, DECISION)
)  # that need no measures
JACOBIAN = "jacobian"
SET, INTERVAL = "set", "interval"
MOST = float(np.finfo(np.float32).max)

Values = NDArray[np.float32] | list[str]


class TensorSpec(NamedTuple):
    """Specifies a tensor's name, datatype (`FP32` or `BYTES`) and shape, where -1 is a dimension of any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def describe(self) -> dict[str, Any]:
        """Returns the tensor as metadata routes give it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True)
class Tensors:
    """Holds the tensors of one model.

    Attributes:
        inputs: the inputs that a request gives.
        usual: the outputs that answer a request which names none.
        outputs: all outputs by name.
    """

    inputs: tuple[TensorSpec, ...]
    usual: tuple[TensorSpec, ...]
    outputs: Mapping[str, TensorSpec]


def tensors_of(card: ModelCard) -> Tensors:
    """Returns the tensors of the model that a card describes."""
    link = link_of(card.task, card.scores)
    usual = _usual(card, link)
    return Tensors(_inputs(card), usual, {spec.name: spec for spec in (*usual, *_by_name(card, link))})


def _inputs(card: ModelCard) -> tuple[TensorSpec, ...]:
    """Returns one matrix for a card of numeric features, or one column for each feature where there are categories."""
    if all(isinstance(feature, NumericFeature) for feature in card.features):
        return (TensorSpec(FEATURES, "FP32", (-1, card.width)),)
    return tuple(
        TensorSpec(feature.name, "FP32" if isinstance(feature, NumericFeature) else "BYTES", (-1, 1))
        for feature in card.features
    )


def _usual(card: ModelCard, link: Link) -> tuple[TensorSpec, ...]:
    found = []
    if link.has_labels:
        found.append(TensorSpec("label", "BYTES", (-1, 1)))
    if link.has_value:
        found.append(TensorSpec("value", "FP32", (-1, 1)))
    if link.has_labels:
        found.append(TensorSpec("probabilities", "FP32", (-1, len(card.labels))))
    found += [TensorSpec(one.name, "FP32", (-1, 1)) for one in measures_of(link) if one.tensor == "usual"]
    return (*found, TensorSpec("verdict", "BYTES", (-1, 1)))


def _by_name(card: ModelCard, link: Link) -> tuple[TensorSpec, ...]:
    S, D = card.scores, card.width
    region = (
        TensorSpec(SET, "FP32", (-1, len(card.labels))) if link.has_labels else TensorSpec(INTERVAL, "FP32", (-1, 2))
    )
    novelty = TensorSpec(NOVELTY, "FP32", (-1, 1))
    return (
        *(() if card.conformity is None else (region,)),
        *(() if card.novelty is None else (novelty,)),
        *(TensorSpec(one.name, "FP32", (-1, 1)) for one in measures_of(link) if one.tensor == "by name"),
        TensorSpec("scores", "FP32", (-1, S)),
        TensorSpec("covariance", "FP32", (-1, S, S)),
        TensorSpec(JACOBIAN, "FP32", (-1, S, D)),
        TensorSpec(DECISION, "BYTES", (-1, 1)),
    )


def to_matrix(values: Mapping[str, Values], rows: RowEncoder) -> NDArray[np.float32]:
    """Returns a request's tensors as the graph's matrix, checked like any other rows."""
    if rows.ranges.whole:  # all columns are numeric
        matrix = np.asarray(values[FEATURES], dtype=np.float32)
        count = len(matrix)
    else:
        columns = [_column(values[name]) for name in rows.names]
        count = len(columns[0])
        if any(len(column) != count for column in columns):
            raise InvalidInput("must all have the same number of rows", "inputs")
        try:
            matrix = rows.encode([list(row) for row in zip(*columns, strict=True)])
        except InvalidInput as error:  # the encoder names rows as our own routes do
            raise InvalidInput(error.detail, (error.place or "").replace("instances", "inputs", 1)) from None
    if count == 0:
        raise InvalidInput("must have at least one row", "inputs")
    rows.require_finite(matrix, "inputs")
    return matrix


def to_tensor(name: str, card: ModelCard, predictions: Predictions, part: slice) -> Values:
    """Returns one output for the rows `part` of a run, which must be measured unless the output is in `UNMEASURED`."""
    if name == "label":
        return [card.labels[label] for label in predictions.label[part].tolist()]
    if name == "value":
        return predictions.value[part, None].astype(np.float32)
    if name == "scores":
        return predictions.scores[part]
    if name == "probabilities":
        assert predictions.probabilities is not None
        return predictions.probabilities[part]
    if name == SET:
        assert predictions.sets is not None
        return predictions.sets[part].astype(np.float32)
    if name == INTERVAL:
        assert predictions.intervals is not None
        ends = np.stack(predictions.intervals, axis=1)[part]
        return np.clip(ends, -MOST, MOST).astype(np.float32)  # JSON has no infinite number
    if name == NOVELTY:
        assert predictions.novelty is not None
        return predictions.novelty.percentile[part, None].astype(np.float32)
    assert isinstance(predictions, Measured)
    if name == "verdict":
        return [VERDICTS[level] for level in predictions.level[part].tolist()]
    if name == "covariance":
        return predictions.covariance[part]
    measure: NDArray[np.float64] = getattr(predictions.diagnosis, name)
    return measure[part, None].astype(np.float32)


def shape_of(spec: TensorSpec, values: Values) -> tuple[int, ...]:
    """Returns the shape of an output's values; texts are listed row by row."""
    further = spec.shape[1:]
    return (len(values) // math.prod(further) if isinstance(values, list) else len(values), *further)


def _column(values: Values) -> list[str] | list[float]:
    return values if isinstance(values, list) else values[:, 0].tolist()
