"""Defines what the three estimators share, from rows as scikit-learn has them to a model that the service serves."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted, validate_data

from chainzrule.service.artifact.features import Feature
from chainzrule.service.artifact.interface import Task
from chainzrule.training.columns import Columns, with_bends
from chainzrule.training.config import Config, make_config, plain
from chainzrule.training.data.columns import Column
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.features import describe, opened
from chainzrule.training.data.fingerprint import fingerprint_arrays
from chainzrule.training.data.inputs import as_frame, encode_columns, matrix_columns, rows_of, table_columns
from chainzrule.training.data.noise import check_float32_spacing
from chainzrule.training.data.scaled import check_raw, scaling_of, steps_before
from chainzrule.training.data.target import check_labels, check_quantity
from chainzrule.training.data.weights import merge
from chainzrule.training.fitting.recipe import Recipe
from chainzrule.training.fitting.tuning import tuned
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.link import Link, link_of
from chainzrule.training.noise.config import NoiseLawConfig
from chainzrule.training.noise.declared import declare
from chainzrule.training.publish.run import Run

CHUNK = 2**15  # rows predicted at a time, so that memory does not grow with them

FIT = ("optimiser", "epochs", "batch", "learning_rate", "weight_decay", "patience")


class ChainzRuleEstimator(BaseEstimator):  # type: ignore[misc]
    """The base of the three estimators in `training.estimators`; use one of these.

    Equal rows, target included, are merged first, so that a weight is a repetition to the last bit. Up to 10,000
    distinct rows are fitted with full-batch L-BFGS in float64, more with AdamW (`optimiser="auto"`).

    X is a matrix of numbers, or a DataFrame (pandas, polars or Arrow) that is read as `chainzrule fit` reads a table:
    what is no number is a category, gaps in numbers are filled with the median, and gaps in categories are their own
    level. In rows to predict, a gap or a level that training did not see is the median or the commonest level.

    A fitted estimator, also when pickled, holds its training rows: `publish` measures on rows held out of them.

    Args:
        hidden: widths of the hidden layers.
        degree: of every neuron's polynomial, 1 to 5.
        strength: lambda, the factor of the penalty on the layers' derivatives (DREG); 0 switches it off. None is 0.3
            for a regression, and for labels 0.3 times their entropy over that of even labels.
        fisher: the factor of the penalty on how fast the predicted distribution changes with X; None is 0, which
            switches it off, for a regression, and for labels 0.1 times their entropy over that of even labels.
        optimiser: "auto", "lbfgs" or "adamw".
        epochs: passes over the rows, at most; with L-BFGS each has five steps.
        batch: AdamW's rows a step.
        learning_rate: AdamW's peak.
        weight_decay: AdamW's, or for L-BFGS the factor of half the squared weights.
        early_stopping: watch `validation`, a share of the rows, and keep the best epoch's weights.
        validation: that share.
        patience: epochs without a better validation loss before stopping.
        categorical: names of columns to read as categories although they hold numbers.
        numeric: names of columns to read as numbers although they look like an id or hold booleans.
        noise: by column, one standard deviation of its measurement noise in its own unit, or what else docs/noise.md
            allows; a tenth of the column's standard deviation where it is not given.
        noise_law: how that noise is distributed, as the section of a configuration: columns that move together.
        class_weight: by label, how often its rows count, or "balanced": as often as makes all labels equally common.
        bend: read columns of heavy tails on a logarithmic scale, which becomes part of the published graph.
        tune: choose `hidden`, `degree`, `strength`, `fisher` and `weight_decay` by folds of the rows, beginning with
            those that are given, and fit to all rows; it takes some thirty times as long, or `budget` seconds.
        budget: those seconds, roughly.
        random_state: decides initialisation, shuffling and the validation rows.

    Attributes:
        model_: the fitted network with its units.
        features_: the columns as the card describes them.
        n_iter_: epochs that the fitted weights have seen.
        losses_: the objective after every epoch.
    """

    _task: Task
    model_: FittedModel
    features_: tuple[Feature, ...]

    def __init__(
        self,
        hidden: Sequence[int] = (32, 32),
        degree: int = 3,
        strength: float | None = None,
        fisher: float | None = None,
        optimiser: str = "auto",
        epochs: int = 60,
        batch: int = 64,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
        early_stopping: bool = True,
        validation: float = 0.15,
        patience: int = 15,
        categorical: Collection[str] = (),
        numeric: Collection[str] = (),
        noise: Mapping[str, Any] | None = None,
        noise_law: Mapping[str, Any] | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        bend: bool = True,
        tune: bool = False,
        budget: float = 120.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.hidden = hidden
        self.degree = degree
        self.strength = strength
        self.fisher = fisher
        self.optimiser = optimiser
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation = validation
        self.patience = patience
        self.categorical = categorical
        self.numeric = numeric
        self.noise = noise
        self.noise_law = noise_law
        self.class_weight = class_weight
        self.bend = bend
        self.tune = tune
        self.budget = budget
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fits to rows X and their targets y, a row of weight w counting w times.

        Raises:
            ValueError: the data or the parameters cannot be used; says why and what to do.
            DivergenceError: the loss became infinite or NaN.
        """
        self._before = steps_before(self)
        X, y = as_frame(X), as_frame(y)
        name = str(y.name) if isinstance(y, pd.Series) and y.name is not None else "target"
        labels, target = self._target(y)
        columns = self._read(X)
        self._scaling = scaling_of(columns)
        check_consistent_length(X, target)
        weights = np.asarray(_check_sample_weight(sample_weight, target, dtype=np.float64, ensure_non_negative=True))
        if self.class_weight is not None:
            weights = weights * compute_sample_weight(self.class_weight, np.asarray(y))
        if not weights.any():
            raise ValueError("sample_weight is zero for every row; there is nothing to learn from")
        counted = np.flatnonzero(weights)
        target, weights = target[counted], weights[counted]
        if labels and len(np.unique(target)) < 2:
            raise ValueError("y has one class only; there is nothing to tell apart")
        columns = [column.take(counted) for column in columns]
        first, merged = merge(
            np.column_stack([*(column.numbers for column in columns), target]).astype(np.float64), weights
        )

        described: tuple[Feature, ...] = tuple(describe(column, first, weights=merged) for column in columns)
        x = encode_columns(columns, described)
        bent = with_bends(described, x[first], merged) if self.bend else described
        law = NoiseLawConfig.model_validate(dict(self.noise_law or {}))
        features, self._errors = declare(bent, x[first], dict(self.noise or {}), law)
        self._opened = tuple(
            opened(feature, column, first, merged) for feature, column in zip(features, columns, strict=True)
        )
        check_float32_spacing(features)
        rows = Rows(x, target, None if (weights == 1).all() else weights)
        distinct = Rows(rows.x[first], target[first], None if (merged == 1).all() else merged)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._config = self._configure(seed, len(first))
        self._dataset = Dataset(self._task, name, None, features, None, labels, rows, None, fingerprint="")
        columns_ = Columns.of(features, None, self._errors)
        epochs = None
        recipe = Recipe(self._config, self._dataset, columns_)
        if self.tune:
            best = tuned(self._config, lambda config: Recipe(config, self._dataset, columns_), distinct, columns_)
            self._config, recipe, epochs = best.config, best.recipe, int(np.median(best.epochs))
        self.model_, report = recipe.fit(recipe.chainzrule, "fit", distinct, columns_, epochs)
        self.features_ = features
        self.n_iter_ = report.best_epoch
        self.losses_ = report.losses
        return self

    def publish(self, models_dir: str | Path, name: str, *, lenient: bool = False) -> Path:
        """Writes the fitted model to a repository as an artifact that the service has accepted.

        Its card's quality, stability reference and ReLU baseline come from further fits by the same recipe, each judged
        on rows it has not seen: every row out of five folds, or from 2,000 rows on a fifth of them.

        Args:
            models_dir: the repository; made if it does not exist.
            name: the model's name.
            lenient: whether the service takes rows as `predict` does: a gap or a level that training did not see,
                further columns, missing ones as gaps, and numbers written as texts. Otherwise it refuses such rows.

        Returns:
            The new version's directory.

        Raises:
            ValueError: the estimator is the last step of a pipeline, whose other steps the service would not know.
            DataError: too few rows, or classes of too few rows, to measure the model on.
            TrainingError, ServiceError: the model cannot be exported as it is; says why.
        """
        check_is_fitted(self)
        check_raw(self._before, self._scaling)
        rows = self._dataset.train
        if self._link.has_labels:
            check_labels(self._dataset.target, self._task, self._dataset.labels, rows.y.astype(np.int64))
        else:
            check_quantity(self._dataset.target, rows.y.astype(np.float64))
        content: dict[str, NDArray[Any]] = {"x": rows.x, "y": rows.y}
        if rows.weights is not None:
            content["weights"] = rows.weights
        features = self._opened if lenient else self.features_
        fingerprint = fingerprint_arrays(content)
        dataset = replace(self._dataset, features=features, lenient=lenient, fingerprint=fingerprint)
        config = make_config(self._config.model_dump(exclude_unset=True) | {"name": name, "tune": self.tune}, "publish")
        return Run(config, dataset).publish(Path(models_dir), (self.model_, self.n_iter_)).path

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        return tags

    @property
    def _link(self) -> Link:
        return link_of(self._task)

    def _read(self, X: Any) -> list[Column]:
        """Returns the columns to fit to, and sets `n_features_in_` and `feature_names_in_`."""
        if isinstance(X, pd.DataFrame):
            columns = table_columns(X, self.categorical, self.numeric)
            validate_data(self, X, skip_check_array=True)
            return columns
        if self.categorical or self.numeric:
            raise ValueError("categorical and numeric name a DataFrame's columns, and X is none")
        matrix = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        names = getattr(self, "feature_names_in_", [f"x{place}" for place in range(matrix.shape[1])])
        if empty := [name for name, gaps in zip(names, np.isnan(matrix).all(axis=0), strict=True) if gaps]:
            raise DataError(f"column '{empty[0]}' holds no value at all; drop it")
        return matrix_columns(matrix, names)

    def _encoded(self, X: Any) -> NDArray[np.float32]:
        """Returns (rows, D) rows to predict, as the graphs take them."""
        check_is_fitted(self)
        X = as_frame(X)
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=False, skip_check_array=True)
            return rows_of(X, self._opened)
        matrix = validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        return encode_columns(matrix_columns(matrix, [feature.name for feature in self._opened]), self._opened)

    def _scores(self, X: Any) -> torch.Tensor:
        """Returns (rows, S) scores in float64, which the rows beside a row change by no more than rounding."""
        x = torch.from_numpy(self._encoded(X))
        return torch.cat([self.model_.scores(chunk) for chunk in torch.split(x, CHUNK)])

    def _probabilities(self, X: Any) -> NDArray[np.float64]:
        """Returns (rows, labels) probabilities."""
        found = self._link.probabilities(self._scores(X))
        assert found is not None
        return found.numpy()

    def _target(self, y: Any) -> tuple[tuple[str, ...], NDArray[Any]]:
        """Returns the labels, and (rows,) what the network is fitted to."""
        raise NotImplementedError

    def _configure(self, seed: int, rows: int) -> Config:
        """Returns the parameters as a configuration, with the optimiser chosen."""
        parameters = {name: plain(value) for name, value in self.get_params(deep=False).items()}
        hidden, validation = parameters["hidden"], parameters["validation"] if self.early_stopping else 0.0
        content = {
            "name": "estimator",
            "seed": seed,
            "data": {"source": "arrays", "bend": self.bend},
            "network": {"hidden": [hidden] if isinstance(hidden, int) else hidden, "degree": parameters["degree"]},
            "dreg": {"strength": parameters["strength"], "fisher": parameters["fisher"]},
            "fit": {**{name: parameters[name] for name in FIT}, "validation": validation},
            "noise": dict(self.noise or {}),
            "noise_law": dict(self.noise_law or {}),
            "budget": parameters["budget"],
        }
        config = make_config(content, "parameters")
        return config.model_copy(update={"fit": config.fit.for_rows(rows)})
