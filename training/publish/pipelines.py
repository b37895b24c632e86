"""Publishes estimators, alone or at the end of a pipeline whose steps are folded into the model.

The service is then asked with the rows that the pipeline is asked with, and answers as it does. A scaler is an affine
step in each column, z = scale x + offset. The network standardises its columns anyway, so that such a step only changes
the mean and the standard deviation by which it does so. An imputer's value becomes what stands for a gap.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from chainzrule.service.artifact.features import Feature, NumericFeature
from chainzrule.training.columns import Columns
from chainzrule.training.errors import TrainingError
from chainzrule.training.estimator import ChainzRuleEstimator
from chainzrule.training.noise.declared import with_noise

SAMPLE = 256  # rows on which the folded model is held against the pipeline
CLOSE = 1e-4  # how far they may be apart, as a share of the values' size: rounding to float32 in other units
ROUNDING = 1e-6  # of a standard deviation, by which a range is widened so that rounding puts no training row outside

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Front:
    """Holds what the steps before an estimator do to each column.

    Attributes:
        scale: (D,) what a column is multiplied by, above 0.
        offset: (D,) what is then added.
        fill: (D,) the raw value that stands for a gap; NaN where no step fills it.
    """

    scale: Floats
    offset: Floats
    fill: Floats

    def then(self, scale: Floats, offset: Floats) -> "Front":
        """Returns these steps followed by an affine one."""
        return Front(scale * self.scale, scale * self.offset + offset, self.fill)

    def filling(self, values: Floats) -> "Front":
        """Returns these steps followed by one that fills gaps with values in the units that they have there."""
        return replace(self, fill=np.where(np.isnan(self.fill), self.raw(values), self.fill))

    def raw(self, z: Floats) -> Floats:
        """Returns values as the steps take them for values as they give them."""
        return np.asarray((z - self.offset) / self.scale)


def publish(
    model: Any, models_dir: str | Path, name: str, *, noise: Mapping[str, float] | None = None, lenient: bool = False
) -> Path:
    """Writes a fitted estimator, or a pipeline that ends in one, to a repository; the service takes its raw columns.

    The steps before the estimator may be `StandardScaler`, `MinMaxScaler`, `MaxAbsScaler`, `RobustScaler` and
    `SimpleImputer`; the whole is held against the pipeline before it is published. A search's best model is taken.

    Args:
        model: the estimator, the pipeline, or a search over either.
        models_dir: the repository; made if it does not exist.
        name: the model's name.
        noise: by column, its measurement noise in its raw unit, in place of the estimator's.
        lenient: as in `ChainzRuleEstimator.publish`.

    Returns:
        The new version's directory.

    Raises:
        TrainingError: a step cannot be folded, or the model does not answer as the pipeline does.
        DataError, ServiceError: as in `ChainzRuleEstimator.publish`.
    """
    found = getattr(model, "best_estimator_", model)
    steps = list(_flat(found)) if isinstance(found, Pipeline) else [("", found)]
    estimator = steps[-1][1]
    if not isinstance(estimator, ChainzRuleEstimator):
        raise TrainingError(
            f"a {type(estimator).__name__} is no ChainzRule estimator; `chainzrule.adopt` publishes other models"
        )
    check_is_fitted(estimator)
    if len(steps) > 1:
        estimator = folded(steps)
    if noise is not None:
        estimator = _with_noise(estimator, noise)
    return estimator.publish(models_dir, name, lenient=lenient)


def folded(steps: list[tuple[str, Any]]) -> ChainzRuleEstimator:
    """Returns a copy of the last step, an estimator, that takes the columns as the first step does; raises as above."""
    estimator: ChainzRuleEstimator = steps[-1][1]
    seen = estimator.features_
    features = [feature for feature in seen if isinstance(feature, NumericFeature)]
    if len(features) < len(seen):
        raise TrainingError("columns with levels cannot pass other steps; give the table to the estimator itself")
    width = len(features)
    front = Front(np.ones(width), np.zeros(width), np.full(width, np.nan))
    for name, step in steps[:-1]:
        front = _followed(front, name, step)
    names = list(getattr(steps[0][1], "feature_names_in_", [feature.name for feature in features]))
    means, stds, noises, fills = (
        np.array([getattr(feature, fact) for feature in features], dtype=np.float64)
        for fact in ("mean", "std", "noise", "fill")
    )
    fills = np.where(np.isnan(front.fill), front.raw(fills), front.fill)
    rows = estimator._dataset.train
    raw = replace(rows, x=front.raw(rows.x.astype(np.float64)).astype(np.float32))
    means, stds, noises = front.raw(means), stds / front.scale, noises / front.scale
    described = tuple(
        feature.model_copy(
            update={
                "name": str(names[place]),
                "mean": float(means[place]),
                "std": float(stds[place]),
                "low": float(np.float32(raw.x[:, place].min() - ROUNDING * stds[place])),
                "high": float(np.float32(raw.x[:, place].max() + ROUNDING * stds[place])),
                "noise": float(noises[place]),
                "fill": None if np.isnan(fills[place]) else float(fills[place]),
            }
        )
        for place, feature in enumerate(features)
    )
    found = copy.copy(estimator)
    if hasattr(steps[0][1], "feature_names_in_"):
        found.feature_names_in_ = np.array(names, dtype=object)
    found._before = ()
    found._scaling = None
    found.features_ = described
    found._opened = _opened(estimator, described, front)
    found.model_ = replace(estimator.model_, columns=Columns.of(described, None, estimator._errors))
    found._dataset = replace(estimator._dataset, features=described, train=raw)
    declared = estimator._config.noise
    given = {now.name: now.noise for was, now in zip(seen, described, strict=True) if was.name in declared}
    found._config = estimator._config.model_copy(update={"noise": given})
    _compare(steps, found, estimator, names)
    return found


def _opened(estimator: ChainzRuleEstimator, described: tuple[Feature, ...], front: Front) -> tuple[Feature, ...]:
    """Returns the features with what stands for a gap in every column: a step's value or the training rows' median."""
    usual = front.raw(np.array([feature.fill for feature in estimator._opened], dtype=np.float64))
    return tuple(
        feature if feature.fill is not None else feature.model_copy(update={"fill": float(usual[place])})
        for place, feature in enumerate(described)
    )


def _flat(pipeline: Pipeline) -> Iterator[tuple[str, Any]]:
    """Yields the steps that do something, also those of pipelines in the pipeline."""
    for name, step in pipeline.steps:
        if isinstance(step, Pipeline):
            yield from _flat(step)
        elif step is not None and step != "passthrough":
            yield name, step


def _followed(front: Front, name: str, step: Any) -> Front:
    """Returns what a column is after one more step."""
    ones, zeros = np.ones_like(front.scale), np.zeros_like(front.scale)

    def given(attribute: str, default: Floats) -> Floats:
        value = getattr(step, attribute, None)
        return default if value is None else np.asarray(value, np.float64)

    if isinstance(step, SimpleImputer):
        values = np.asarray(step.statistics_, np.float64)
        if step.add_indicator or not _is_nan(step.missing_values) or np.isnan(values).any():
            raise _no_fold(name, step, "it fills NaN in every column, and adds and removes none")
        found = front.filling(values)
    elif isinstance(step, StandardScaler | RobustScaler):
        standard = isinstance(step, StandardScaler)
        centred = step.with_mean if standard else step.with_centering
        centre = given("mean_" if standard else "center_", zeros) if centred else zeros
        scale = given("scale_", ones)  # None where it does not scale
        found = front.then(1 / scale, -centre / scale)
    elif isinstance(step, MinMaxScaler):
        if step.clip:
            raise _no_fold(name, step, "it does not clip")
        found = front.then(given("scale_", ones), given("min_", zeros))
    elif isinstance(step, MaxAbsScaler):
        found = front.then(1 / given("scale_", ones), zeros)
    elif isinstance(step, FunctionTransformer) and step.func is None:
        found = front
    else:
        raise _no_fold(name, step, "it is a scaler or an imputer")
    if found.scale.shape != front.scale.shape or not (np.isfinite(found.scale) & (found.scale > 0)).all():
        raise _no_fold(name, step, "it scales each column by a number above 0")
    return found


def _no_fold(name: str, step: Any, when: str) -> TrainingError:
    return TrainingError(
        f"step '{name}' ({type(step).__name__}) can be folded into the model only where {when}; fit the estimator on "
        "the raw columns instead: it scales them, fills gaps and reads categories by itself"
    )


def _is_nan(value: Any) -> bool:
    return value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _with_noise(estimator: ChainzRuleEstimator, noise: Mapping[str, float]) -> ChainzRuleEstimator:
    found = copy.copy(estimator)
    found.features_ = with_noise(estimator.features_, noise)
    found._opened = with_noise(estimator._opened, noise)
    found.model_ = replace(estimator.model_, columns=Columns.of(found.features_, None, estimator._errors))
    found._dataset = replace(estimator._dataset, features=found.features_)
    found._config = estimator._config.model_copy(update={"noise": {**estimator._config.noise, **noise}})
    return found


def _fills(estimator: ChainzRuleEstimator) -> Floats:
    """Returns (D,) what stands for a gap in each column of numbers; NaN where nothing does."""
    return np.array([getattr(feature, "fill", None) for feature in estimator.features_], dtype=np.float64)


def _compare(
    steps: list[tuple[str, Any]], found: ChainzRuleEstimator, estimator: ChainzRuleEstimator, names: list[str]
) -> None:
    """Holds the folded model against the pipeline, on training rows and on gaps where the model fills them.

    Raises:
        TrainingError: they differ.
    """
    x = found._dataset.train.x[:SAMPLE].astype(np.float64)
    fills, own = _fills(found), _fills(estimator)
    asked = np.concatenate([x, np.where(np.isnan(fills), x[:1], np.nan)])
    z: Any = pd.DataFrame(asked, columns=names) if hasattr(steps[0][1], "feature_names_in_") else asked
    for _, step in steps[:-1]:
        z = step.transform(z)
    z = np.asarray(z, np.float64)
    expected = estimator.model_.scores(torch.from_numpy(np.where(np.isnan(z), own, z)))
    scores = found.model_.scores(torch.from_numpy(np.where(np.isnan(asked), fills, asked)))
    size = float(expected.abs().max())
    if not torch.allclose(scores, expected, rtol=CLOSE, atol=CLOSE * max(size, 1e-30)):
        raise TrainingError(
            "the model with the pipeline's steps folded in does not answer as the pipeline does; fit the estimator on "
            "the raw columns instead"
        )
