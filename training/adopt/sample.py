"""Reads the sample of rows by which an adopted model is described and measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chainzrule.service.artifact.features import NumericFeature
from chainzrule.service.artifact.interface import Task
from chainzrule.training.columns import with_noise
from chainzrule.training.data.columns import NumericColumn, read_column
from chainzrule.training.data.features import describe
from chainzrule.training.data.fingerprint import fingerprint_frame
from chainzrule.training.data.noise import check_float32_spacing
from chainzrule.training.data.tablefile import read_table
from chainzrule.training.data.target import read_target
from chainzrule.training.errors import AdoptionError


@dataclass(frozen=True)
class Sample:
    """Holds the sample's rows, with columns in the model's order.

    Attributes:
        task: what the target is, guessed or asked for.
        target: its column.
        features: the columns as a card describes them.
        x: (rows, D) the features.
        y: (rows,) indices into `labels`, or float32.
        labels: the target's labels, in its own order; empty for a regression.
        fingerprint: the table's sha256.
    """

    task: Task
    target: str
    features: tuple[NumericFeature, ...]
    x: NDArray[np.float32]
    y: NDArray[np.int64] | NDArray[np.float32]
    labels: tuple[str, ...]
    fingerprint: str

    @property
    def std(self) -> NDArray[np.float64]:
        """Returns the (D,) standard deviations of the columns."""
        return np.array([feature.std for feature in self.features])

    @property
    def noise(self) -> NDArray[np.float64]:
        """Returns the (D,) noise sigmas of the columns."""
        return np.array([feature.noise for feature in self.features])


def read_sample(
    path: Path, target: str, task: Task | None, noise: Mapping[str, float], units: Mapping[str, str]
) -> Sample:
    """Reads a table whose columns, except the target, are the model's inputs in their order.

    Raises:
        AdoptionError: a column or the target has gaps, or there is no such target.
        DataError: the file cannot be read, or a column is no measurement.
        ConfigError: noise is declared for a column that there is not.
    """
    frame = read_table(path)
    if target not in frame.columns:
        raise AdoptionError(f"{path}: no column is named '{target}'; --target names the column to predict")
    if task == "ordinal":
        raise AdoptionError("ordinal models cannot be adopted; adopt the model as a classification")
    for name in units:
        if name not in frame.columns:
            raise AdoptionError(f"a unit is given for '{name}', which is no column")
    columns = [_number(frame[name]) for name in frame.columns if name != target]
    if frame[target].isna().any():
        raise AdoptionError(f"target '{target}' has gaps; leave those rows out of the sample")
    found = read_target(frame[target], task, learnt=False)
    rows = np.arange(len(frame))
    described = tuple(describe(column, rows, units.get(column.name)) for column in columns)
    features = with_noise(described, noise)
    check_float32_spacing(features)
    numeric = tuple(feature for feature in features if isinstance(feature, NumericFeature))
    x = np.stack([column.values for column in columns], axis=1).astype(np.float32)
    return Sample(found.task, target, numeric, x, found.y, found.labels, fingerprint_frame(frame))


def _number(column: "pd.Series[float]") -> NumericColumn:
    read = read_column(column, "numeric")
    assert isinstance(read, NumericColumn)
    if np.isnan(read.values).any():
        raise AdoptionError(
            f"column '{read.name}' has gaps; fill them as they were filled for the model, or leave those rows out"
        )
    return read
