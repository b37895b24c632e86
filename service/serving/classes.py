"""Gives an output as its most likely classes, which is the classification extension of the inference protocol."""

from collections.abc import Iterable
from math import isnan
from typing import cast

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.errors import InvalidInput
from chainzrule.service.serving.tensors import Tensors, TensorSpec, Values

CLASSIFIED = ("probabilities", "scores")


def require_classes(tensors: Tensors, names: Iterable[str], card: ModelCard) -> None:
    """Raises `InvalidInput` for outputs that have no number for each of the card's labels."""
    for name in names:
        shape = tensors.outputs[name].shape
        if name not in CLASSIFIED or not card.labels or shape[1] != len(card.labels):
            raise InvalidInput("has no classes; ask for those of probabilities", "outputs")


def classes_of(spec: TensorSpec, values: Values, card: ModelCard, most: int) -> tuple[TensorSpec, list[str]]:
    """Returns an output's classes, the most likely first, as texts "number:index:label"; withheld ones are empty."""
    rows = cast(NDArray[np.float32], values)
    count = min(most, len(card.labels))
    found = []
    for row, order in zip(rows.tolist(), np.argsort(-rows, axis=1, kind="stable")[:, :count].tolist(), strict=True):
        found += ["" if isnan(row[at]) else f"{row[at]:f}:{at}:{card.labels[at]}" for at in order]
    return TensorSpec(spec.name, "BYTES", (-1, count)), found
