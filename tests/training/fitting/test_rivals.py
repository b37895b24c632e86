import numpy as np
import pandas as pd
import pytest

from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.link import link_of
from chainzrule.training.columns import Columns
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.table import table_dataset
from chainzrule.training.fitting.rivals import RIVALS, fit_rival
from chainzrule.training.measure.quality import of_answers


def dataset(task: Task) -> Dataset:
    random = np.random.default_rng(4)
    x = random.normal(size=(300, 3))
    y = 2 * x[:, 0] + x[:, 1] + random.normal(0, 0.2, 300)
    if task != "regression":
        y = np.digitize(y, [-1.0, 1.0])
    return table_dataset(pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y}), "y", task)[0]


@pytest.mark.parametrize("method", RIVALS)
@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_scores_mean_what_a_networks_do(method: str, task: Task) -> None:
    data = dataset(task)
    columns = Columns.of(data.features, None)
    train, rest = data.train.take(np.arange(200)), data.train.take(np.arange(200, 300))
    scores, size = fit_rival(method, task, len(data.labels), train, columns, seed=0)
    found = of_answers(link_of(task, data.scores), rest.y, scores(rest.x))
    assert found["r2" if task == "regression" else "accuracy"] > 0.8
    assert size > 3


def test_labels_that_the_rows_lack_are_all_but_impossible() -> None:
    data = dataset("classification")
    some = np.flatnonzero(data.train.y < 2)
    rows = data.train.take(some)
    scores, _ = fit_rival("linear", "classification", 3, rows, Columns.of(data.features, None), seed=0)
    found = scores(rows.x)
    assert found.shape == (len(some), 3)
    assert np.exp(found[:, 2]).max() < 1e-8


def test_rows_have_weights() -> None:
    data = dataset("regression")
    columns = Columns.of(data.features, None)
    half = np.where(np.arange(300) < 150, 1.0, 0.0) + 1e-9
    weighted, _ = fit_rival("linear", "regression", 0, Rows(data.train.x, data.train.y, half), columns, seed=0)
    alone, _ = fit_rival("linear", "regression", 0, data.train.take(np.arange(150)), columns, seed=0)
    np.testing.assert_allclose(weighted(data.train.x), alone(data.train.x), atol=1e-4)
