from dataclasses import replace
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


def unbalanced(rows: int = 2000, positives: int = 20) -> Dataset:
    """Two labels that are easy to tell apart, one of them rare."""
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 2))
    y = np.zeros(rows, np.int64)
    y[np.argsort(-(x[:, 0] + random.normal(0, 0.1, rows)))[:positives]] = 1
    return table_dataset(pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y}), "y", "classification")[0]


def test_what_there_is_to_win_is_the_labels_entropy_over_that_of_even_labels() -> None:
    data = unbalanced()
    share = len(data.train.y[data.train.y == 1]) / len(data.train)
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert recipe(data).stake(data.train) == pytest.approx(entropy / np.log(2))
    even = Rows(data.train.x, np.arange(len(data.train)) % 2)
    assert recipe(data).stake(even) == pytest.approx(1.0)
    twice = Rows(even.x, even.y, np.where(even.y == 1, 3.0, 1.0))
    assert recipe(data).stake(twice) == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / np.log(2))


def test_a_rare_label_is_learnt_all_the_same() -> None:
    data = unbalanced()
    model, _ = fitted(data, data.train, validation=0.15)
    p = model.scores(torch.from_numpy(data.train.x)).softmax(1)[:, 1].numpy()
    assert p[data.train.y == 1].mean() > 0.5
    assert p[data.train.y == 0].mean() < 0.01


@pytest.mark.parametrize(("positives", "watched"), [(20, 3), (5, 1)])
def test_the_rows_that_early_stopping_watches_have_every_label(positives: int, watched: int) -> None:
    data = unbalanced(400, positives)
    kept, held = recipe(data)._split(data.train, 0.15)
    assert int(data.train.y[held].sum()) == watched
    assert len(held) == pytest.approx(60, abs=1)
    assert sorted([*kept, *held]) == list(range(400))
    assert len(recipe(data)._split(data.train, 0.0)[1]) == 0


def test_early_stopping_watches_whole_groups() -> None:
    data = unbalanced(400, 60)
    patients = np.arange(len(data.train)) // 4
    grouped = replace(data, train=replace(data.train, groups=patients))
    kept, held = recipe(grouped)._split(grouped.train, 0.15)
    assert not set(patients[kept]) & set(patients[held])
    assert len(held) == pytest.approx(0.15 * len(patients), rel=0.5)
    assert sorted([*kept, *held]) == list(range(len(patients)))
    alone = replace(data, train=replace(data.train, groups=np.zeros(len(data.train), np.int64)))
    assert len(recipe(alone)._split(alone.train, 0.15)[1]) == len(recipe(data)._split(data.train, 0.15)[1])


def test_columns_that_are_left_out_have_no_influence_and_the_others_have_theirs() -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=(80, 40))
    frame = pd.DataFrame(x, columns=[f"x{at}" for at in range(40)]).assign(y=x[:, 7] + random.normal(0, 0.1, 80))
    data = table_dataset(frame, "y")[0]
    model, _ = fitted(data, data.train, select=True)
    jacobian = model.jacobian(torch.from_numpy(data.train.x[:5])).numpy()[:, 0]
    assert (np.abs(jacobian[:, 7]) > 0.5).all()
    assert (jacobian == 0).all(axis=0).sum() >= 35
