"""Provides the networks that are certified: ChainzRule and ReLU of one size by one recipe, with held-out rows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from chainzrule.training.columns import Columns
from chainzrule.training.config import read_config
from chainzrule.training.data.dataset import Rows
from chainzrule.training.data.split import FOLDS, folds
from chainzrule.training.fitting.recipe import Recipe
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.noise.declared import with_noise
from chainzrule.training.publish.load import load

CONFIGS = Path("training/configs")
SHAPES = (("breast-cancer", (16, 16), 2), ("breast-cancer", (16, 16), 3), ("digits", (64, 64), 3))


@dataclass(frozen=True)
class Subject:
    """Holds a network with raw held-out rows, (rows, D)."""

    name: str
    kind: str
    model: FittedModel
    rows: NDArray[np.float64]


def subjects(rows: int, epochs: int, mnist: Path | None, kept: Path) -> Iterator[Subject]:
    """Yields the networks, and fits those that no earlier run kept; without MNIST's folder there are no digits."""
    for name, hidden, degree in SHAPES:
        config = read_config(CONFIGS / f"{name}.toml")
        network = config.network.model_copy(update={"hidden": hidden, "degree": degree})
        config = config.model_copy(update={"network": network})
        if config.data.source == "mnist":
            if mnist is None:
                continue
            data = config.data.model_copy(update={"path": mnist})
            config = config.model_copy(update={"data": data, "fit": config.fit.model_copy(update={"epochs": epochs})})
        dataset, _ = load(config.data, config.seed)
        columns = Columns.of(with_noise(dataset.features, config.noise), dataset.layout)
        train, test = dataset.train, dataset.test
        if test is None:
            held = folds(train.y, FOLDS, config.seed, stratified=True)[0]
            train, test = train.take(np.setdiff1d(np.arange(len(train)), held)), train.take(held)
            columns = columns.of_rows(train.x)
        recipe = Recipe(config, replace(dataset, train=train, test=test), columns)
        shape = "-".join(map(str, (columns.width, *hidden, len(dataset.labels))))
        for kind in ("chainzrule", "relu"):
            model = _fitted(recipe, kind, train, columns, kept / f"{name}-{degree}-{kind}.pt")
            yield Subject(f"{name} {shape}, degree {degree}", kind, model, test.x[:rows].astype(np.float64))


def _fitted(recipe: Recipe, kind: str, train: Rows, columns: Columns, kept: Path) -> FittedModel:
    if kept.exists():
        found: FittedModel = torch.load(kept, weights_only=False)
        return found
    model, _ = recipe.fit(recipe.chainzrule if kind == "chainzrule" else recipe.relu, kind, train, columns)
    kept.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model, kept)
    return model
