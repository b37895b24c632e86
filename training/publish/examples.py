"""Chooses real rows for the card, for people to start from; only where the user asks for them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Example, ExampleKind
from chainzrule.service.artifact.features import CategoricalFeature, Feature, Layout
from chainzrule.service.stability.link import Link
from chainzrule.service.stability.measures import diagnose
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.measure.outputs import Outputs

UNUSUAL = 0.98  # quantile of the surprise above which a row is no borderline case, but one that the model does not know

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """Holds the rows to choose from, which the model was not fitted to, with what it says of each.

    Attributes:
        rows: the rows, with their true answers.
        shakiness: (rows,) how easily noise changes the answer: the flip probability, or a regression's volatility.
        right: (rows,) whether it answers them rightly; a regression's rows all count as such.
        surprise: (rows,) how unlike the training rows they are; None where that was not computed.
    """

    rows: Rows
    shakiness: Floats
    right: NDArray[np.bool_]
    surprise: Floats | None

    @classmethod
    def of(cls, link: Link, rows: Rows, outputs: Outputs, surprise: Floats | None) -> "Candidates":
        """Returns the rows with their figures, from a model's outputs on them."""
        assert outputs.covariance is not None
        found = diagnose(link, outputs.scores, outputs.covariance, np.ones(len(rows)), outputs.mean_shift)
        if not link.has_labels:
            return cls(rows, found.volatility, np.ones(len(rows), np.bool_), surprise)
        return cls(rows, found.flip_probability, np.asarray(found.label == rows.y), surprise)


def examples(dataset: Dataset, known: Candidates, count: int, seed: int) -> tuple[Example, ...]:
    """Returns up to `count` rows with their true answers: of six one is borderline, one novel, and the others typical.

    Typical rows are drawn from the less surprising half, and answered rightly as most are; the labels take turns, so
    that none is missing. Borderline are those whose answer noise changes most easily, novel those that surprise most.
    """
    surprise = np.zeros(len(known.rows)) if known.surprise is None else known.surprise
    each = count // 6
    novel = np.argsort(-surprise, kind="stable")[: each if known.surprise is not None else 0]
    usual = np.flatnonzero(surprise <= np.quantile(surprise, UNUSUAL))
    usual = np.setdiff1d(usual, novel)
    borderline = usual[np.argsort(-known.shakiness[usual], kind="stable")][:each]
    left = np.setdiff1d(np.arange(len(surprise)), np.concatenate([novel, borderline]))
    typical = _typical(dataset, known, left, surprise, seed)[: count - len(borderline) - len(novel)]
    chosen: dict[ExampleKind, Indices] = {"typical": typical, "borderline": borderline, "novel": novel}
    return tuple(
        Example(
            label=dataset.labels[int(known.rows.y[row])] if dataset.labels else None,
            kind=kind,
            features=_values(known.rows.x[row], dataset.features, dataset.layout),
        )
        for kind, index in chosen.items()
        for row in index
    )


def _typical(dataset: Dataset, known: Candidates, index: Indices, surprise: Floats, seed: int) -> Indices:
    """Returns the rows of `index` in the order to show them in: at random, the less surprising right ones first."""
    order = np.random.default_rng(seed).permutation(index)
    label = known.rows.y[order].astype(np.int64) if dataset.labels else np.zeros(len(order), np.int64)
    odd = np.zeros(len(order), np.bool_)
    turn = np.zeros(len(order), np.int64)  # how many rows of the same label and the same half come before each row
    for one in np.unique(label):
        mine = label == one
        odd[mine] = ~known.right[order][mine] | (surprise[order][mine] > np.median(surprise[order][mine]))
        for part in (mine & odd, mine & ~odd):
            turn[part] = np.arange(np.sum(part))
    return order[np.lexsort((label, turn, odd))]


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
