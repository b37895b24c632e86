"""Brings a model to where it can be measured: its sample read, its graph plain, its numbers understood and compared."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import Task
from chainzrule.service.runtime.graph import Graph
from chainzrule.training.adopt.codes import find_codes
from chainzrule.training.adopt.comparison import Comparison, apart, compare, read_expected, rows_off, served_difference
from chainzrule.training.adopt.convert.converted import Converted
from chainzrule.training.adopt.given import Given
from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.head import Head, add_head
from chainzrule.training.adopt.labels import compare_labels, match_labels
from chainzrule.training.adopt.meaning import Answers, Reading, read_answer
from chainzrule.training.adopt.original import TOLERANCE, NotRunError, first_faithful, require_finite
from chainzrule.training.adopt.placement import Placement, place_columns
from chainzrule.training.adopt.rowwise import require_rows_apart
from chainzrule.training.adopt.sample import Sample, read_goal, read_sample
from chainzrule.training.adopt.sides import settle_sides
from chainzrule.training.adopt.source import Source, plain_sources
from chainzrule.training.errors import AdoptionError

LIBRARY = "the library's own answers"

Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]
Served = dict[str, Matrix]


@dataclass(frozen=True)
class Wishes:
    """Holds what the user says of a model and its sample; see `adopt`."""

    target: str
    task: Task | None = None
    labels: Sequence[str] = ()
    answers: Answers | None = None
    expected: Path | None = None
    tolerance: float = TOLERANCE
    noise: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Prepared:
    """Holds a model that is ready to be measured.

    Attributes:
        sample: its rows.
        source: its graph made plain.
        reading: what its numbers are.
        labels: its labels, in order.
        y: (rows,) the true labels as indices into them, or values.
        head: its graph with scores.
        scores: that graph, open.
        difference: the largest difference of what would be served from the file's own answer.
        comparison: with the library's predictions; None where there are none.
        notes: what the user should know.
    """

    sample: Sample
    source: Source
    reading: Reading
    labels: tuple[str, ...]
    y: NDArray[np.generic]
    head: Head
    scores: Graph
    difference: float
    comparison: Comparison | None
    notes: tuple[str, ...]


def prepare(given: Given, frame: pd.DataFrame, wishes: Wishes, converted: Converted | None = None) -> Prepared:
    """Returns a model that is ready to be measured.

    Args:
        given: the file.
        frame: the sample, with its target.
        wishes: what the user says.
        converted: what the library says, where the model was converted here.

    Raises:
        AdoptionError: names what stands in the way, and what to do.
        DataError, ConfigError: the sample cannot be used.
        ArtifactError: ONNX Runtime cannot load the graph.
    """
    sample, placement = _sample(given, frame, wishes, converted)
    source, answered = first_faithful(plain_sources(given, placement, sample.features), sample.x)
    require_rows_apart(source.graph, sample.x, answered.plain, sample.columns.noise, wishes.seed)
    reading = read_answer(sample.task, answered.plain, source.graph.graph, wishes.answers)
    width = answered.plain.shape[1]
    known = given.labels if converted is None else converted.labels
    labels, y = match_labels(wishes.labels, known, sample, width)
    head, scores, served = _served(source, reading, width, sample)
    notes = [*given.notes, *placement.notes]
    comparison = None
    for predicted, place in _predictions(wishes, labels, converted):
        raw = converted is not None and converted.raw and place == LIBRARY
        if not raw:
            source, moved = _settled(
                source, sample, served, predicted, lambda one: _served(one, reading, width, sample)[2]
            )
            if moved:
                head, scores, served = _served(source, reading, width, sample)
                notes.append(f"{moved} thresholds of trees were moved by rounding, to where the library has them")
        ours = {"scores": answered.plain} if raw else served
        comparison = compare(ours, predicted, wishes.tolerance, source.operators, place)
    if converted is None and labels and answered.labels is not None:
        notes += filter(None, [compare_labels(served["probabilities"], labels, answered.labels, wishes.answers)])
    if sample.task != "regression":
        kind = "probabilities" if reading.kind == "probabilities" else "logits"
        notes.append(f"the answers are taken for {kind}: {reading.why}")
    if sample.codes:
        notes.append(f"no noise on codes of categories: {', '.join(sample.codes)}")
    difference = max(answered.difference, served_difference(served, answered.plain, reading.kind))
    return Prepared(sample, source, reading, labels, y, head, scores, difference, comparison, tuple(notes))


def _predictions(wishes: Wishes, labels: tuple[str, ...], converted: Converted | None) -> Iterator[tuple[Floats, str]]:
    """Yields the predictions to compare with, each with where it comes from."""
    if converted is not None:
        yield converted.answers, LIBRARY
    if wishes.expected is not None:
        yield read_expected(wishes.expected, labels), str(wishes.expected)


def _settled(
    source: Source, sample: Sample, served: Served, predicted: Floats, serve: Callable[[Source], Served]
) -> tuple[Source, int]:
    """Returns the model with its trees' thresholds where the library has them, and how many were moved."""
    off = rows_off(served, predicted)
    if not any(kind.startswith("TreeEnsemble") for kind in source.operators) or not 0 < len(off) < len(sample.x) / 4:
        return source, 0
    return settle_sides(source, sample.x, off, lambda one: float(apart(serve(one), predicted).sum()))


def _served(source: Source, reading: Reading, width: int, sample: Sample) -> tuple[Head, Graph, dict[str, Matrix]]:
    """Returns a model with its head, open, and what it serves for the sample."""
    head = add_head(source, reading.kind, width)
    scores = opened(head.graph)
    served = scores.run(sample.x)
    require_finite(*served.values())
    return head, scores, served


def first_prepared(conversions: Iterable[tuple[Given, Converted]], frame: pd.DataFrame, wishes: Wishes) -> Prepared:
    """Returns the first conversion of a model that can be adopted.

    Raises:
        AdoptionError: none can; says why the first that can be run, which is the best, cannot.
    """
    refusal: AdoptionError | None = None
    for given, converted in conversions:
        try:
            return prepare(given, frame, wishes, converted)
        except AdoptionError as error:
            if refusal is None or (isinstance(refusal, NotRunError) and not isinstance(error, NotRunError)):
                refusal = error
    raise refusal or AdoptionError("the model cannot be converted")


def _sample(given: Given, frame: pd.DataFrame, wishes: Wishes, converted: Converted | None) -> tuple[Sample, Placement]:
    """Returns the sample as the model takes it, and which columns feed which of its inputs."""
    goal = read_goal(frame, wishes.target, wishes.task)
    placement = place_columns(given.inputs, [str(name) for name in frame.columns if name != wishes.target])
    columns = {one.name: placement.places[one.name] for one in given.inputs if len(one.shape) <= 1}
    codes = find_codes(given.model.graph, columns)
    texts = {place for one in given.inputs if one.is_text for place in placement.places[one.name]}
    for name, levels in ({} if converted is None else converted.levels).items():
        texts.add(placement.columns.index(name))
        codes.categories[placement.columns.index(name)] = levels
    return (
        read_sample(frame, goal, wishes.target, placement.columns, frozenset(texts), codes, wishes.noise, wishes.units),
        placement,
    )
