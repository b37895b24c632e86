"""Chooses real rows for the card, for people to start from; only where the user asks for them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Example
from chainzrule.service.artifact.features import CategoricalFeature, Feature, Layout
from chainzrule.training.data.dataset import Dataset


def examples(dataset: Dataset, count: int, seed: int) -> tuple[Example, ...]:
    """Returns up to `count` random rows with their true answers; the labels take turns, so that none is missing.

    They are held-out rows where the data set keeps some apart.
    """
    rows = dataset.test or dataset.train
    order = np.random.default_rng(seed).permutation(len(rows))
    if dataset.labels:
        label = rows.y[order].astype(np.int64)
        turn = np.zeros(len(order), dtype=np.int64)  # how many rows of the same label come before each row
        for each in range(len(dataset.labels)):
            turn[label == each] = np.arange(np.sum(label == each))
        order = order[np.lexsort((label, turn))]
    return tuple(
        Example(
            label=dataset.labels[int(rows.y[row])] if dataset.labels else None,
            features=_values(rows.x[row], dataset.features, dataset.layout),
        )
        for row in order[:count]
    )


def _values(x: NDArray[np.float32], features: Sequence[Feature], layout: Layout | None) -> tuple[float | str, ...]:
    """Returns one encoded row as a caller would send it, with as few digits as float32 needs."""
    if layout is not None:
        return tuple(_shortest(value) for value in x)
    values: list[float | str] = []
    at = 0
    for feature in features:
        if isinstance(feature, CategoricalFeature):
            values.append(feature.levels[int(x[at : at + len(feature.levels)].argmax())])
            at += len(feature.levels)
        else:
            values.append(_shortest(x[at]))
            at += 1
    return tuple(values)


def _shortest(value: np.float32) -> float:
    return float(str(value))
