"""How unlike the training rows a row is: by its inputs, and where columns are many by what a network makes of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from chainzrule.training.columns import Columns
from chainzrule.training.nn.folded import fold
from chainzrule.training.novelty.activations import network_of
from chainzrule.training.novelty.novelty import FEW_COLUMNS, MOST_COLUMNS, fit_novelty, held_out_surprise
from tests.training.conftest import Exported
from tests.training.novelty.written import columns_of


def rows(count: int, width: int, seed: int = 0) -> np.ndarray:
    """Rows whose columns follow from two hidden causes."""
    random = np.random.default_rng(seed)
    causes = np.random.default_rng(77).normal(size=(2, width))
    return (random.normal(size=(count, 2)) @ causes + 0.2 * random.normal(size=(count, width))).astype(np.float32)


@pytest.mark.parametrize("width", [6, FEW_COLUMNS, FEW_COLUMNS + 1])
@pytest.mark.parametrize("count", [500, 2500])
def test_few_usual_rows_and_nearly_all_unusual_ones_are_far_out(width: int, count: int) -> None:
    x = rows(count, width)
    novelty = fit_novelty(x, None, columns_of(x), None, seed=1)
    assert novelty is not None
    usual = novelty.score(rows(1000, width, seed=1))
    limit = np.quantile(usual, 0.985)
    shuffled = np.random.default_rng(2).permuted(rows(200, width, seed=3), axis=1)
    assert (novelty.score(shuffled) > limit).mean() > 0.9
    assert (novelty.deviations(x) is None) == (width > FEW_COLUMNS)


def test_held_out_rows_are_as_far_out_as_fresh_ones() -> None:
    x = rows(400, 8)
    held = held_out_surprise(x, columns_of(x), seed=1)
    novelty = fit_novelty(x, None, columns_of(x), None, seed=1)
    assert held is not None
    assert novelty is not None
    fresh = novelty.score(rows(5000, 8, seed=4))
    assert (fresh > np.quantile(held, 0.985)).mean() < 0.04
    assert np.median(held) == pytest.approx(np.median(fresh), rel=0.2)


def test_the_same_rows_and_seed_give_the_same() -> None:
    x = rows(300, 5)
    first, second = (fit_novelty(x, None, columns_of(x), None, seed=3) for _ in range(2))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.score(x), second.score(x))


def test_too_many_columns_have_no_novelty() -> None:
    x = np.zeros((3, MOST_COLUMNS + 1), np.float32)
    assert fit_novelty(x, None, columns_of(x), None, seed=1) is None
    assert held_out_surprise(x, columns_of(x), seed=1) is None


def pooled(columns: Columns) -> Columns:
    """The same columns as if they were an image's, which are judged by more than their inputs."""
    return replace(columns, pooled=True)


def test_a_network_is_looked_into_where_columns_are_many(classifier: Exported) -> None:
    model, _ = classifier
    random = np.random.default_rng(5)
    x = (model.columns.mean + model.columns.std * random.normal(size=(600, model.columns.width))).astype(np.float32)
    label = model.scores(torch.from_numpy(x)).numpy().argmax(axis=1)
    network = network_of(fold(model), model.task)
    inputs = fit_novelty(x, label, pooled(model.columns), None, seed=1)
    whole = fit_novelty(x, label, pooled(model.columns), network, seed=1)
    table = fit_novelty(x, label, model.columns, network, seed=1)
    assert inputs is not None
    assert whole is not None
    assert table is not None
    # One statistic of the inputs; with the network two layers and the energy besides; a table has two of its own.
    assert [len(one.surprises.knots) // one.surprises.breaks for one in (inputs, whole, table)] == [1, 4, 2]
