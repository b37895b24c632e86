"""A served model as the protocol sees it: its input and output tensors, and rows to and from them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.api.oip.request import Values
from chainzrule.service.api.oip.tensors import TensorSpec
from chainzrule.service.artifact.card import ModelCard, NumericFeature
from chainzrule.service.errors import InvalidInput
from chainzrule.service.runtime.model import Predictions
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.stability.verdict import VERDICTS

FEATURES = "features"


@dataclass(frozen=True)
class TensorMap:
    """The tensors of one model.

    Attributes:
        inputs: those that a request gives.
        usual: the outputs that answer a request which names none.
        outputs: all outputs by name.
    """

    inputs: tuple[TensorSpec, ...]
    usual: tuple[TensorSpec, ...]
    outputs: Mapping[str, TensorSpec]


def tensor_map(card: ModelCard) -> TensorMap:
    """The tensors of the model that a card describes."""
    usual = usual_outputs(card)
    return TensorMap(input_specs(card), usual, {spec.name: spec for spec in (*usual, *further_outputs(card))})


def input_specs(card: ModelCard) -> tuple[TensorSpec, ...]:
    """One matrix for an all-numeric card; one column tensor a feature where there are categories."""
    if all(isinstance(feature, NumericFeature) for feature in card.features):
        return (TensorSpec(FEATURES, "FP32", (-1, card.width)),)
    return tuple(
        TensorSpec(feature.name, "FP32" if isinstance(feature, NumericFeature) else "BYTES", (-1, 1))
        for feature in card.features
    )


def usual_outputs(card: ModelCard) -> tuple[TensorSpec, ...]:
    """The outputs that answer a request which names none."""
    value = TensorSpec("value", "FP32", (-1, 1))
    label = TensorSpec("label", "BYTES", (-1, 1))
    probabilities = TensorSpec("probabilities", "FP32", (-1, len(card.labels)))
    volatility = TensorSpec("volatility", "FP32", (-1, 1))
    flip_probability = TensorSpec("flip_probability", "FP32", (-1, 1))
    verdict = TensorSpec("verdict", "BYTES", (-1, 1))
    if card.task == "regression":
        return (value, volatility, verdict)
    expected_level = (value,) if card.task == "ordinal" else ()
    return (label, *expected_level, probabilities, volatility, flip_probability, verdict)


def further_outputs(card: ModelCard) -> tuple[TensorSpec, ...]:
    """The outputs that come only when asked for by name."""
    S, D = card.scores, card.width
    return (
        TensorSpec("gradient_norm", "FP32", (-1, 1)),
        TensorSpec("scores", "FP32", (-1, S)),
        TensorSpec("covariance", "FP32", (-1, S, S)),
        TensorSpec("jacobian", "FP32", (-1, S, D)),
    )


def to_matrix(values: Mapping[str, Values], rows: RowEncoder) -> NDArray[np.float32]:
    """The request's tensors as the graph's matrix, checked like any other rows."""
    if len(rows.columns) == rows.width:  # all columns are numeric
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


def to_tensor(name: str, card: ModelCard, batch: Predictions, part: slice) -> Values:
    """One output of a request's rows."""
    if name == "label":
        return [card.labels[label] for label in batch.diagnosis.label[part].tolist()]
    if name == "verdict":
        return [VERDICTS[level] for level in batch.verdicts.level[part].tolist()]
    if name in ("value", "volatility", "flip_probability", "gradient_norm"):
        measure: NDArray[np.float64] = getattr(batch.diagnosis, name)
        return measure[part, None].astype(np.float32)
    tensor: NDArray[np.float32] = getattr(batch, name)
    return tensor[part]


def _column(values: Values) -> list[str] | list[float]:
    return values if isinstance(values, list) else values[:, 0].tolist()
