"""Provides the networks that are tried: shipped artifacts, and ChainzRule and ReLU of one size fitted here."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from chainzrule.service.artifact.listing import list_versions
from chainzrule.service.artifact.store import read_artifact
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model
from chainzrule.service.stability.link import Link, link_of
from chainzrule.training.columns import Columns
from chainzrule.training.config import Config
from chainzrule.training.data.bundled import bundled_dataset
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.split import FOLDS, folds
from chainzrule.training.fitting.recipe import Recipe
from chainzrule.training.measure.outputs import network_scores, predict
from chainzrule.training.measure.simulation import Simulation, choose_rows, simulate
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.noise.declared import with_noise

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Subject:
    """Holds a network with one way of measuring it.

    Attributes:
        model: the shipped model's or the configuration's name.
        network: which network, and how it is measured.
        link: what its scores mean.
        simulation: its rows, and what noise did to them.
    """

    model: str
    network: str
    link: Link
    simulation: Simulation


def shipped(model: str, rows: int, draws: int, seed: int) -> Iterator[Subject]:
    """Yields the newest version in the repository, run through the graphs that are served."""
    newest = max(
        (version for version in list_versions(ROOT / "models") if version.name == model),
        key=lambda version: int(version.version),
    )
    artifact = read_artifact(newest.path)
    served, x = Model(artifact.card, artifact.graphs, Execution("cpu", threads=1)), _rows(model)
    x = x[choose_rows(len(x), x.shape[1], rows, seed)]

    def scores(features: NDArray[np.float32]) -> NDArray[np.floating]:
        return served.graphs["model"].run(features)["scores"]

    flips, spread = simulate(served.link, scores, x, served.rows.errors, seed, draws)
    said = served.graphs["model"].run(x)
    found = Simulation(said["scores"], said["covariance"], said.get("mean_shift"), flips, spread)
    yield from _orders(model, f"shipped, version {newest.version}", served.link, found)


def fitted(config: Config, dataset: Dataset, rows: int, draws: int, seed: int) -> Iterator[Subject]:
    """Yields a ChainzRule and a ReLU network of one size, by one recipe, on rows that neither was fitted to."""
    columns = Columns.of(with_noise(dataset.features, config.noise), dataset.layout)
    train, test = dataset.train, dataset.test
    if test is None:
        held = folds(train.y, FOLDS, config.seed, stratified=dataset.task != "regression")[0]
        train, test = train.take(np.setdiff1d(np.arange(len(train)), held)), train.take(held)
        columns = columns.of_rows(train.x)
    test = test.take(choose_rows(len(test), columns.width, rows, seed))
    recipe = Recipe(config, replace(dataset, train=train, test=test), columns)
    smooth, _ = recipe.fit(recipe.chainzrule, "chainzrule", train, columns)
    outputs = predict(smooth, test)
    assert outputs.covariance is not None
    found = Simulation(outputs.scores, outputs.covariance, outputs.mean_shift, *_simulated(smooth, test, draws, seed))
    link = link_of(dataset.task, outputs.scores.shape[1])
    yield from _orders(config.name, "ChainzRule", link, found)
    piecewise, _ = recipe.fit(recipe.relu, "relu", train, columns)
    x = torch.from_numpy(test.x)
    covariance = np.concatenate([piecewise.covariance(part).numpy() for part in torch.split(x, 256)])
    found = Simulation(piecewise.scores(x).numpy(), covariance, None, *_simulated(piecewise, test, draws, seed))
    yield Subject(config.name, "ReLU, first order", link, found)


def _orders(model: str, network: str, link: Link, simulation: Simulation) -> Iterator[Subject]:
    yield Subject(model, f"{network}, first order", link, replace(simulation, mean_shift=None))
    if simulation.mean_shift is not None:
        yield Subject(model, f"{network}, second order", link, simulation)


def _simulated(
    model: FittedModel, rows: Rows, draws: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    link = link_of(model.task, len(model.network.output.bias))
    return simulate(link, network_scores(model), rows.x, model.columns.drawn, seed, draws)


def _rows(model: str) -> NDArray[np.float32]:
    """Returns the digits' held-out rows; for the small tables, of which none is kept apart, all rows."""
    if model == "digits":
        with gzip.open(ROOT / "tests/data/t10k-images-idx3-ubyte.gz") as file:
            return np.frombuffer(file.read(), dtype=np.uint8, offset=16).reshape(-1, 784).astype(np.float32)
    return bundled_dataset(model, seed=1).train.x
