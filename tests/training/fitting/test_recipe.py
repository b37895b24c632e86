from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from chainzrule.training.columns import Columns
from chainzrule.training.config import make_config
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.table import table_dataset
from chainzrule.training.fitting.losses import task_loss
from chainzrule.training.fitting.recipe import Recipe
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.ordinal import CumulativeLogits


def recipe(dataset: Dataset, **fit: Any) -> Recipe:
    values = {"epochs": 30, "validation": 0, "optimiser": "lbfgs"} | fit
    data = {"source": "table", "path": "t.csv", "target": "y"}
    config = make_config({"name": "t", "data": data, "network": {"hidden": [6, 5]}, "fit": values}, "test")
    return Recipe(config, dataset, Columns.of(dataset.features, None))


@pytest.fixture(scope="module", params=["classification", "ordinal", "regression"])
def dataset(request: pytest.FixtureRequest) -> Dataset:
    random = np.random.default_rng(4)
    x = random.normal(size=(120, 3))
    y = x[:, 0] + 0.5 * x[:, 1] ** 2 + random.normal(0, 0.2, 120)
    if request.param != "regression":
        y = np.digitize(y, [-0.5, 1.0])
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y})
    return table_dataset(frame, "y", request.param)[0]


def fitted(dataset: Dataset, rows: Rows, **fit: Any) -> tuple[FittedModel, tuple[float, ...]]:
    made = recipe(dataset, **fit)
    columns = Columns.of(dataset.features, None).of_rows(rows.x, rows.weights)
    model, report = made.fit(made.chainzrule, "fit", rows, columns)
    return model, report.losses


def test_a_weighted_row_is_a_repeated_one_to_the_optimiser(dataset: Dataset) -> None:
    """Penalty, standardisation and thresholds included; nothing is merged here, so rounding may differ."""
    rows, repeats = dataset.train, np.random.default_rng(0).integers(0, 4, 120)
    repeated = rows.take(np.arange(120).repeat(repeats))
    some = rows.take(np.flatnonzero(repeats))
    weighted = Rows(some.x, some.y, repeats[repeats > 0].astype(float))
    _, losses = fitted(dataset, repeated, epochs=3)
    _, others = fitted(dataset, weighted, epochs=3)
    np.testing.assert_allclose(losses, others, rtol=1e-6)
    _, plain = fitted(dataset, some, epochs=3)
    assert not np.allclose(plain, losses, rtol=1e-3)


def test_weights_also_count_in_batches(dataset: Dataset) -> None:
    rows, wrong = dataset.train, np.arange(120) % 2 == 0
    y = np.where(wrong, rows.y[::-1], rows.y)
    loss = task_loss(dataset.task)

    def error(weights: NDArray[np.float64] | None) -> float:
        model, _ = fitted(dataset, Rows(rows.x, y, weights), optimiser="adamw", learning_rate=0.02)
        return float(loss(model.scores(torch.from_numpy(rows.x)), torch.from_numpy(rows.y)))

    assert error(np.where(wrong, 1e-3, 1.0)) < 0.8 * error(None)


@pytest.mark.parametrize("optimiser", ["adamw", "lbfgs"])
def test_a_column_that_is_constant_in_training_says_nothing(dataset: Dataset, optimiser: str) -> None:
    x = dataset.train.x.copy()
    x[:, 2] = 7.0
    columns = Columns.of(dataset.features, None)
    columns.mean[2], columns.std[2] = 7.0, 7.0
    made = recipe(dataset, optimiser=optimiser)
    model, _ = made.fit(made.chainzrule, "fit", Rows(x, dataset.train.y), columns)
    moved = x.copy()
    moved[:, 2] = -20.0
    assert torch.equal(model.scores(torch.from_numpy(x)), model.scores(torch.from_numpy(moved)))


def test_lbfgs_goes_lower_than_adamw_on_few_rows(dataset: Dataset) -> None:
    assert fitted(dataset, dataset.train)[1][-1] < fitted(dataset, dataset.train, optimiser="adamw")[1][-1]


def test_auto_is_lbfgs_for_few_rows(dataset: Dataset) -> None:
    assert fitted(dataset, dataset.train, optimiser="auto")[1] == fitted(dataset, dataset.train)[1]


def test_thresholds_start_at_the_levels_frequencies(dataset: Dataset) -> None:
    if dataset.task != "ordinal":
        return
    made = recipe(dataset, optimiser="adamw", learning_rate=1e-12, epochs=1)
    model, _ = made.fit(made.chainzrule, "fit", dataset.train, Columns.of(dataset.features, None))
    assert isinstance(model.network.output, CumulativeLogits)
    shares = np.bincount(dataset.train.y).cumsum()[:-1] / 120
    np.testing.assert_allclose(model.network.output.thresholds.sigmoid().detach(), shares, atol=0.01)
