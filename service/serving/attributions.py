"""Attributes predictions to the features, with as many further runs as the parts need to add up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import Bend, CategoricalFeature, NumericFeature
from chainzrule.service.errors import InvalidInput, NonFiniteOutput, ServiceError, TooLarge
from chainzrule.service.runtime.tensors import to_array
from chainzrule.service.serving.deadline import seconds_until
from chainzrule.service.serving.question import Allowance
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.attributions import NODES, TOLERANCE, Paths, attributed, next_likely

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Matrix = NDArray[np.float32]

JACOBIAN_VALUES = 2**20  # the most derivatives of one run: they take a millisecond to add up
PATH_VALUES = 2**22  # the most input values of one row's path, of which several copies are held


@dataclass(frozen=True)
class Attributions:
    """Holds what each feature contributes to the difference between a row's output and a baseline's.

    Attributes:
        features: (rows, F) contribution of each feature; a category's columns are added up.
        baseline: (rows, D) the encoded baselines.
        over: (rows,) the label that the row's label is compared with; -1 where there is none.
        value: (rows,) what is attributed, at the rows.
        baseline_value: (rows,) the same at the baselines.
        gap: (rows,) by how much the contributions do not add up to the difference of the two.
        nodes: (rows,) the number of points of the path at which the gradient was taken.
    """

    features: Floats
    baseline: Matrix
    over: Indices
    value: Floats
    baseline_value: Floats
    gap: Floats
    nodes: Indices


def check_attributions(served: ServedModel, rows: int, allowance: Allowance, seconds: float) -> None:
    """Raises `TooLarge` where not even the fewest nodes fit in the allowance or in the seconds that are left."""
    most = allowance.draws // (NODES[0] * _runs(served))
    if rows > most:
        raise TooLarge(f"would take over {allowance.draws} further runs; ask for at most {most} rows", "instances")
    if served.costs.differentiate(NODES[0] * rows) > seconds:
        raise TooLarge("attributions would take longer than the request may; ask for fewer rows", "instances")


def encode_baseline(served: ServedModel, baseline: Any | None, features: Matrix) -> Matrix:
    """Returns the (rows, D) baselines of rows: the given one, or without one the means and equal parts of all levels.

    A gap of a row is no point of a path, so there the row's baseline has a gap too, and nothing is attributed to it.

    Raises:
        InvalidInput: the baseline is not a valid input of the model, or has a gap where a row has none.
    """
    if baseline is None:
        one = _middle(served)[None]
    else:
        try:
            one = served.model.rows.encode([baseline])
        except ServiceError as error:  # the encoder knows rows as instances
            if error.place is not None:
                error.place = error.place.replace("instances[0]", "baseline").replace("instances", "baseline")
            raise
    found = np.where(np.isnan(features), np.float32(np.nan), one)
    if (np.isnan(found) & ~np.isnan(features)).any():
        raise InvalidInput("has a gap where a row has none; give a value", "baseline")
    return found


async def attribute(
    served: ServedModel,
    features: Matrix,
    baseline: Matrix,
    scores: Floats,
    label: Indices,
    allowance: Allowance,
    deadline: float,
) -> Attributions:
    """Returns the attributions of rows; the nodes of a row are increased until its parts add up.

    Args:
        served: the model version.
        features: (rows, D) the encoded rows.
        baseline: (rows, D) the encoded baselines.
        scores: (rows, S) the rows' scores.
        label: (rows,) the rows' labels.
        allowance: what the question may take.
        deadline: when the request's time runs out, by the event loop's clock.
    """
    link = served.model.link
    over = next_likely(link, label, scores)
    alike = baseline[:1] if (baseline == baseline[:1]).all() else baseline  # all but rows with gaps share one
    origin = np.resize((await served.sample(alike, deadline)).astype(np.float64), scores.shape)
    if not np.isfinite(origin).all():
        raise NonFiniteOutput("the model's answer to it is not finite", "baseline")
    value, start = attributed(link, label, over, scores), attributed(link, label, over, origin)
    tolerance = TOLERANCE * np.maximum(np.abs(scores).max(axis=1), np.abs(origin).max(axis=1))
    parts = np.zeros(features.shape)
    gap = np.full(len(features), np.inf)
    used = np.zeros(len(features), np.int64)
    open_rows, left = np.arange(len(features)), allowance.draws
    if served.nodes is None:
        served.nodes = await _enough_nodes(served, allowance, deadline)
    for nodes in (count for count in NODES if count >= served.nodes):
        points = nodes * len(open_rows)
        left -= points * _runs(served)
        costly = served.costs.differentiate(points) > seconds_until(deadline) / 2
        if used.any() and (costly or left < 0 or nodes * served.card.width > PATH_VALUES):
            break
        ends = baseline[open_rows], features[open_rows]
        found = await _integrate(served, *ends, label[open_rows], over[open_rows], nodes, allowance, deadline)
        missed = np.abs(found.sum(axis=1) - (value - start)[open_rows])
        better = missed < gap[open_rows]
        # Where more nodes bring the sum no nearer, what is left is rounding.
        going = better & (missed > tolerance[open_rows]) & (missed < gap[open_rows] / 2)
        chosen = open_rows[better]
        parts[chosen], gap[chosen], used[chosen] = found[better], missed[better], nodes
        open_rows = open_rows[going]
        if not len(open_rows):
            break
    starts = [served.model.rows.start[name] for name in served.model.rows.names]
    return Attributions(np.add.reduceat(parts, starts, axis=1), baseline, over, value, start, gap, used)


async def _enough_nodes(served: ServedModel, allowance: Allowance, deadline: float) -> int:
    """Returns the number of nodes with which attributions between the card's golden rows add up.

    The sum of one path may be right by chance with fewer nodes than its parts need, that of several will not. Where
    derivatives take further runs, no such rows are run, and each row begins with the fewest.
    """
    golden, link = served.card.golden, served.model.link
    features, scores = to_array(golden.features), to_array(golden.scores).astype(np.float64)
    if served.model.probe is not None or not np.isfinite(features).all():
        return NODES[0]
    first, second = np.zeros(len(features), np.int64), np.ones(len(features), np.int64)
    value = attributed(link, first, second, scores)
    for nodes in NODES:
        ends = np.roll(features, 1, axis=0), features
        found = await _integrate(served, *ends, first, second, nodes, allowance, deadline)
        missed = np.abs(found.sum(axis=1) - (value - np.roll(value, 1)))
        if (missed <= TOLERANCE * np.abs(scores).max()).all():
            return nodes
    return NODES[0]


async def _integrate(
    served: ServedModel,
    baseline: Matrix,
    features: Matrix,
    label: Indices,
    over: Indices,
    nodes: int,
    allowance: Allowance,
    deadline: float,
) -> Floats:
    """Returns the (rows, D) integrals along the paths of rows, batch by batch."""
    card, link = served.card, served.model.link
    paths = Paths(baseline, features, _bends(served))
    most = max(1, min(JACOBIAN_VALUES // (card.scores * card.width), allowance.batch_rows))
    size, found = max(1, most // nodes), []
    for begin in range(0, len(features), size):
        part = slice(begin, min(begin + size, len(features)))
        points, steps = paths.stations(nodes, part)
        flat, contributed = points.reshape(-1, card.width), np.array(steps).reshape(-1, card.width)
        own, other = np.repeat(label[part], nodes), np.repeat(over[part], nodes)
        gaps = np.isnan(contributed)  # where both ends are gaps
        for first in range(0, len(flat), most):
            some = slice(first, first + most)
            jacobian = await served.differentiate(flat[some], deadline)
            contributed[some] *= attributed(link, own[some], other[some], jacobian)
        contributed[gaps] = 0.0
        if not np.isfinite(contributed).all():
            raise NonFiniteOutput("the derivatives between the baseline and a row are not finite", "instances")
        found.append(contributed.reshape(steps.shape).sum(axis=1))
    return np.concatenate(found)


def _runs(served: ServedModel) -> int:
    """Returns the number of rows that are run for the derivatives of one."""
    return 1 if served.model.probe is None else served.model.probe.rows


def _bends(served: ServedModel) -> Sequence[tuple[int, Bend]]:
    """Returns the columns that the model reads on another scale than their own, with that scale."""
    start = served.model.rows.start
    return [
        (start[feature.name], feature.bend)
        for feature in served.card.features
        if isinstance(feature, NumericFeature) and feature.bend is not None and served.card.layout is None
    ]


def _middle(served: ServedModel) -> Matrix:
    """Returns the (D,) row of the means that the card gives, with equal parts of all levels."""
    card = served.card
    if card.layout is not None and isinstance(card.features[0], NumericFeature):
        return np.full(card.width, card.features[0].mean, np.float32)
    parts = [
        np.full(len(feature.levels), 1.0 / len(feature.levels))
        if isinstance(feature, CategoricalFeature)
        else np.array([feature.mean])
        for feature in card.features
    ]
    return np.concatenate(parts).astype(np.float32)
