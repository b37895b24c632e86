"""Reads the sample of rows by which an adopted model is described and measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chainzrule.service.artifact.features import CategoricalFeature, Feature, NumericFeature
from chainzrule.service.artifact.interface import Task
from chainzrule.training.adopt.codes import Codes
from chainzrule.training.columns import Columns
from chainzrule.training.data.columns import CategoricalColumn, Column, NumericColumn, read_column
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.features import MISSING, describe, encode
from chainzrule.training.data.fingerprint import fingerprint_frame
from chainzrule.training.data.noise import check_float32_spacing
from chainzrule.training.data.target import Target, read_target
from chainzrule.training.errors import AdoptionError
from chainzrule.training.noise.declared import with_noise

MOST_LEVELS = 1024


@dataclass(frozen=True)
class Sample:
    """Holds the sample's rows, with columns in the model's order.

    Attributes:
        task: what the target is, guessed or asked for.
        target: its column.
        features: the columns as a card describes them.
        x: (rows, D) the features, categories one-hot; NaN where a column has gaps.
        y: (rows,) indices into `labels`, or float32.
        labels: the target's labels, in its own order; empty for a regression.
        fingerprint: the table's sha256.
        codes: the columns without noise, because the model reads them as codes of categories.
    """

    task: Task
    target: str
    features: tuple[Feature, ...]
    x: NDArray[np.float32]
    y: NDArray[np.int64] | NDArray[np.float32]
    labels: tuple[str, ...]
    fingerprint: str
    codes: tuple[str, ...] = ()

    @property
    def columns(self) -> Columns:
        """Returns the features as vectors over the D columns."""
        return Columns.of(self.features, None)

    @property
    def filled(self) -> NDArray[np.float32]:
        """Returns `x` with the columns' means in place of gaps."""
        return np.where(np.isnan(self.x), self.columns.mean.astype(np.float32), self.x)


def read_goal(frame: pd.DataFrame, target: str, task: Task | None) -> Target:
    """Returns the column to predict.

    Raises:
        AdoptionError: it has gaps, there is none of that name, or the task cannot be adopted.
        DataError: what it holds does not fit the task.
    """
    if target not in frame.columns:
        raise AdoptionError(f"no column is named '{target}'; --target names the column to predict")
    if task == "ordinal":
        raise AdoptionError("ordinal models cannot be adopted; adopt the model as a classification")
    if frame[target].isna().any():
        raise AdoptionError(f"target '{target}' has gaps; leave those rows out of the sample")
    return read_target(frame[target], task, learnt=False)


def read_sample(
    frame: pd.DataFrame,
    goal: Target,
    target: str,
    columns: Sequence[str],
    texts: frozenset[int],
    codes: Codes,
    noise: Mapping[str, float],
    units: Mapping[str, str],
) -> Sample:
    """Reads the columns that a model takes.

    Args:
        frame: the table.
        goal: its target, as read.
        target: the target's column.
        columns: the model's, in its order.
        texts: the places of those that the model takes as text.
        codes: those that it reads as codes of categories.
        noise: one standard deviation of measurement noise by column, in its unit.
        units: the columns' units, by name.

    Raises:
        AdoptionError: a unit is given for something else than a column, or text has too many levels.
        DataError: a column is no measurement.
        ConfigError: noise is declared for a column that there is not.
    """
    for name in units:
        if name not in frame.columns:
            raise AdoptionError(f"a unit is given for '{name}', which is no column")
    read = [
        _text(frame[name], codes.categories.get(place, ())) if place in texts else _number(frame[name])
        for place, name in enumerate(columns)
    ]
    coded = tuple(name for place, name in enumerate(columns) if place in codes.columns and place not in texts)
    described = [_describe(column, units.get(column.name), column.name in coded) for column in read]
    features = with_noise(described, noise)
    check_float32_spacing(features)
    x = np.hstack([encode(column, feature) for column, feature in zip(read, features, strict=True)])
    undeclared = tuple(name for name in coded if name not in noise)
    return Sample(goal.task, target, features, x, goal.y, goal.labels, fingerprint_frame(frame), undeclared)


def _number(column: "pd.Series[float]") -> NumericColumn:
    try:
        read = read_column(column, "numeric")
    except DataError as error:
        if "holds text" not in str(error):
            raise
        raise AdoptionError(
            f"column '{column.name}' holds text, but the model takes numbers; encode it as it was encoded for the "
            "model, or export the model with its encoder"
        ) from None
    assert isinstance(read, NumericColumn)
    return read


def _text(column: "pd.Series[str]", known: Sequence[str]) -> CategoricalColumn:
    """Returns a column as levels: those that the model's encoder knows, and the sample's."""
    read = read_column(column, "categorical")
    assert isinstance(read, CategoricalColumn)
    levels = tuple(dict.fromkeys((*(level for level in known if level), *read.levels)))
    if len(levels) > MOST_LEVELS:
        raise AdoptionError(
            f"column '{column.name}' has {len(levels)} texts, more than {MOST_LEVELS}; free text cannot be adopted"
        )
    places = np.array([*(levels.index(level) for level in read.levels), -1], np.int64)
    return CategoricalColumn(read.name, places[read.codes], levels, ordered=False)


def _describe(column: Column, unit: str | None, coded: bool) -> Feature:
    if isinstance(column, CategoricalColumn):
        gaps = bool((column.codes < 0).any()) or len(column.levels) < 2
        levels = (*column.levels, MISSING) if gaps and MISSING not in column.levels else column.levels
        return CategoricalFeature(name=column.name, levels=levels, fill=MISSING if gaps else None)
    feature = describe(column, np.arange(len(column.values)), unit)
    assert isinstance(feature, NumericFeature)
    changed: dict[str, object] = {"noise": 0.0} if coded else {}
    if feature.fill is not None:  # the model itself was fitted to gaps, or fills them
        changed |= {"fill": None, "gaps": True}
    return feature.model_copy(update=changed) if changed else feature
