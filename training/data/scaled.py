"""Notices columns that were scaled before an estimator saw them, which nobody who asks the service would do."""

import sys
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import cast

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

from chainzrule.training.data.columns import Column, NumericColumn

FEWEST_VALUES = 3  # a column of two values is 0 and 1 by nature
CENTRED, UNIT = 1e-3, 0.02  # how far a standardised column's mean and standard deviation may be from 0 and 1


def steps_before(estimator: object) -> tuple[str, ...]:
    """Returns what stands between an estimator and its callers, where a pipeline is fitting it as its last step now.

    These are the names of the other steps, and that of a transformation of the target. A pipeline tells its steps
    nothing of each other, so it is looked for among the callers.
    """
    found: tuple[str, ...] = ()
    last, caller = estimator, cast("FrameType | None", sys._getframe(1))
    while caller is not None:
        owner = caller.f_locals.get("self")
        if isinstance(owner, Pipeline) and owner.steps and owner.steps[-1][1] is last:
            names = [name for name, step in owner.steps[:-1] if step is not None and step != "passthrough"]
            found, last = (*names, *found), owner
        elif isinstance(owner, TransformedTargetRegressor) and getattr(owner, "regressor_", None) is last:
            found, last = ("a transformed target", *found), owner
        caller = caller.f_back
    return found


def scaling_of(columns: Sequence[Column]) -> str | None:
    """Returns how all columns of numbers look scaled, or None where they do not."""
    numbers = [column.values[~np.isnan(column.values)] for column in columns if isinstance(column, NumericColumn)]
    told = [values for values in numbers if len(np.unique(values)) >= FEWEST_VALUES]
    if told and all(abs(values.mean()) <= CENTRED and abs(values.std() - 1) <= UNIT for values in told):
        return "standardised"
    if len(told) > 1 and all(np.allclose([values.min(), values.max()], [0, 1], atol=1e-9) for values in told):
        return "scaled to 0..1"
    return None


def check_raw(before: Sequence[str], scaling: str | None) -> None:
    """Warns where an estimator's columns look scaled, and refuses one that stood behind a pipeline's steps.

    Raises:
        ValueError: the service would not know of those steps.
    """
    if before:
        raise ValueError(
            f"this estimator was fitted behind {', '.join(before)}, which the service would not know of; "
            "publish the whole pipeline: chainzrule.publish(pipeline, models_dir, name)"
        )
    if scaling is not None:
        warnings.warn(
            f"the columns that this estimator was fitted to look {scaling}, and the service will take them as they "
            "are; fit it to the raw columns, or put the scaler into a pipeline and publish that with "
            "chainzrule.publish",
            stacklevel=3,
        )
