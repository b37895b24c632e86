"""Provides rows with their true answers, and what models that were not fitted to them say of each."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, make_friedman1

from chainzrule.service.artifact.store import read_artifact
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model
from chainzrule.service.stability.link import Link, link_of
from chainzrule.training.columns import Columns
from chainzrule.training.config import Config, make_config, read_config
from chainzrule.training.data.bundled import bundled_dataset
from chainzrule.training.data.dataset import Dataset
from chainzrule.training.data.split import FOLDS, folds
from chainzrule.training.data.table import table_dataset
from chainzrule.training.fitting.recipe import Recipe
from chainzrule.training.measure.outputs import join, predict
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.noise.declared import with_noise

ROOT = Path(__file__).parents[2]
LEVELS = ("slow", "moderate", "fast", "very fast")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fold:
    """Holds a model, and the rows that it was not fitted to and has scored."""

    model: FittedModel
    index: NDArray[np.int64]


@dataclass(frozen=True)
class Subject:
    """Holds the rows of one task.

    Attributes:
        name: the name in the report.
        link: what the scores mean.
        x: (rows, D) the encoded features.
        y: (rows,) the true labels' indices, or the true values.
        scores: (rows, S) of models that were fitted without the row.
        volatility: (rows,) of a regression's output, by the same models.
        folds: those models; none for the digits, whose one model was fitted to other rows.
    """

    name: str
    link: Link
    x: NDArray[np.float32]
    y: NDArray[np.generic]
    scores: Floats
    volatility: Floats
    folds: tuple[Fold, ...] = ()


def _shipped(name: str) -> Subject:
    config = read_config(ROOT / "training/configs" / f"{name}.toml")
    return _scored(name, config, bundled_dataset(name, config.seed))


def _bundled(name: str) -> Subject:
    return _scored(name, _config(name), bundled_dataset(name, seed=1))


def _levels() -> Subject:
    """Returns the shipped diabetes table with the quarter of the progression as an ordered level."""
    bunch = load_diabetes(scaled=False)
    quarter = np.searchsorted(np.quantile(bunch.target, [0.25, 0.5, 0.75]), bunch.target)
    frame = pd.DataFrame(bunch.data, columns=bunch.feature_names)
    frame["pace"] = [LEVELS[level] for level in quarter]
    dataset, _ = table_dataset(frame, "pace", "ordinal", levels=LEVELS, categorical=["sex"], seed=1)
    return _scored("diabetes in four levels", _config("levels"), dataset)


def _friedman() -> Subject:
    """Returns Friedman's first function with five idle variables, and noise that grows with the first variable."""
    x, y = make_friedman1(n_samples=1500, n_features=10, noise=0.0, random_state=1)
    y += np.random.default_rng(1).normal(size=len(y)) * (0.5 + 2.0 * x[:, 0])
    frame = pd.DataFrame(x, columns=[f"x{n}" for n in range(10)]).assign(y=y)
    dataset, _ = table_dataset(frame, "y", "regression", seed=1)
    return _scored("friedman, noisy", _config("friedman"), dataset)


def _digits() -> Subject:
    """Returns MNIST's 10,000 test images, as the shipped model answers them."""
    artifact = read_artifact(ROOT / "models/digits/1")
    model = Model(artifact.card, artifact.graphs, Execution("cpu", threads=1))
    images, labels = (ROOT / f"tests/data/t10k-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1"))
    x = np.frombuffer(gzip.decompress(images.read_bytes()), np.uint8, offset=16).reshape(-1, 784).astype(np.float32)
    y = np.frombuffer(gzip.decompress(labels.read_bytes()), np.uint8, offset=8).astype(np.int64)
    scores = np.concatenate([model.score(part) for part in np.array_split(x, 40)]).astype(np.float64)
    return Subject("digits, shipped", model.link, x, y, scores, np.zeros(len(y)))


def _config(name: str) -> Config:
    content = {"name": name.replace("_", "-"), "seed": 1, "network": {"hidden": [16, 16]}}
    content |= {"data": {"source": "table", "path": "none.csv", "target": "y"}}
    return make_config(content | {"fit": {"epochs": 60, "batch": 32, "weight_decay": 0.1}}, name)


def _scored(name: str, config: Config, dataset: Dataset) -> Subject:
    """Fits a model for every fold as training does, and scores each row by the one that does not know it."""
    columns = Columns.of(with_noise(dataset.features, config.noise), dataset.layout)
    rows = replace(dataset, test=None).train
    recipe = Recipe(config, dataset, columns)
    held = folds(rows.y, FOLDS, config.seed, stratified=dataset.task != "regression")
    parts, judged = [], []
    for number, index in enumerate(held, start=1):
        others = rows.take(np.setdiff1d(np.arange(len(rows)), index))
        model, _ = recipe.fit(recipe.chainzrule, f"fold-{number}", others, columns.of_rows(others.x, others.weights))
        parts.append(predict(model, rows.take(index)))
        judged.append(Fold(model, index))
    outputs = join(parts, np.concatenate(held))
    assert outputs.covariance is not None
    trace = outputs.covariance.trace(axis1=1, axis2=2, dtype=np.float64)
    scores = outputs.scores.astype(np.float64)
    volatility = np.sqrt(np.maximum(trace, 0.0))
    link = link_of(dataset.task, scores.shape[1])
    return Subject(name, link, rows.x, rows.y, scores, volatility, tuple(judged))


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "breast-cancer": lambda: _shipped("breast-cancer"),
    "wine": lambda: _bundled("wine"),
    "digits8x8": lambda: _bundled("digits8x8"),
    "diabetes": lambda: _shipped("diabetes"),
    "levels": _levels,
    "friedman": _friedman,
    "digits": _digits,
}
