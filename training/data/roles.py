"""Reads the columns that are no features, and say how rows count, belong together and follow each other."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chainzrule.service.artifact.features import DateFormat
from chainzrule.training.data.columns import CategoricalColumn, NumericColumn, read_column
from chainzrule.training.data.dates import read_columns
from chainzrule.training.data.errors import DataError

Floats = NDArray[np.float64]


def read_weights(column: "pd.Series[Any] | None", classes: NDArray[np.int64] | None = None) -> Floats | None:
    """Returns (rows,) how often rows count; None where all count once.

    Args:
        column: says so for each row; None where nothing does.
        classes: (rows,) label indices, whose rows are to count equally often in all; None where they need not.

    Raises:
        DataError: a weight that is no number above 0.
    """
    weights: Floats | None = None
    if column is not None:
        weights = _numbers(column)
        if not (weights > 0).all():
            first = int((~(weights > 0)).argmax()) + 1
            raise DataError(f"column '{column.name}' has a weight that is no number above 0 (the first in row {first})")
    if classes is not None:
        counts = np.bincount(classes, weights)
        balance = counts.sum() / (len(counts) * counts[classes])
        weights = balance if weights is None else weights * balance
    return weights


def read_groups(column: "pd.Series[Any]") -> NDArray[np.int64]:
    """Returns (rows,) the number of each row's group.

    Raises:
        DataError: a row without a group.
    """
    codes, _ = pd.factorize(column)
    if (codes < 0).any():
        first = int((codes < 0).argmax()) + 1
        raise DataError(f"column '{column.name}' has no group for some rows (the first is row {first})")
    return codes.astype(np.int64)


def read_times(column: "pd.Series[Any]", form: DateFormat | None = None) -> Floats:
    """Returns (rows,) numbers that follow each other as the rows' moments do.

    Raises:
        DataError: neither numbers nor dates, or a row without.
    """
    found = read_columns(column, form=form)[0]  # of a date, the year with its fraction
    if isinstance(found, CategoricalColumn):
        raise DataError(f"column '{column.name}' holds neither numbers nor dates, so that rows cannot be put in order")
    if np.isnan(found.values).any():
        first = int(np.isnan(found.values).argmax()) + 1
        raise DataError(f"column '{column.name}' has no time for some rows (the first is row {first})")
    return found.values


def _numbers(column: "pd.Series[Any]") -> Floats:
    found = read_column(column, "numeric")
    assert isinstance(found, NumericColumn)
    return found.values
