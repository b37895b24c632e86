from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from chainzrule.training.columns import Columns
from chainzrule.training.config import Config, make_config
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.table import table_dataset
from chainzrule.training.errors import DivergenceError
from chainzrule.training.fitting.recipe import Recipe
from chainzrule.training.fitting.tuning import (
    SETTINGS,
    Budget,
    Tried,
    candidates,
    choose,
    parts_of,
    telling_rows,
    tries,
    tuned,
)

CONFIG = make_config({"name": "t", "data": {"source": "table", "path": "t.csv", "target": "y"}}, "test")
QUICK = CONFIG.model_copy(update={"fit": CONFIG.fit.model_copy(update={"epochs": 2})})


def dataset(rows: int = 120, columns: int = 3) -> Dataset:
    random = np.random.default_rng(4)
    x = random.normal(size=(rows, columns))
    y = x[:, 0] + random.normal(0, 1.0, rows)
    return table_dataset(pd.DataFrame(x, columns=[f"x{at}" for at in range(columns)]).assign(y=y), "y")[0]


def recipe(data: Dataset, config: Config = QUICK) -> Recipe:
    return Recipe(config, data, Columns.of(data.features, None))


def parts(data: Dataset) -> list[tuple[Rows, Columns, Rows]]:
    columns, every = Columns.of(data.features, None), np.arange(len(data.train))
    held = [every[::2], every[1::2]]
    return [(data.train.take(other), columns, data.train.take(own)) for own, other in (held, held[::-1])]


def tried(*losses: float) -> Tried:
    return Tried(CONFIG, recipe(dataset()), (), (), tuple(np.full(4, loss) for loss in losses))


def test_the_given_configuration_is_the_first_candidate() -> None:
    data = dataset()
    found = candidates(QUICK, recipe(data), data.train)
    assert found[0] is QUICK
    assert len(found) == len(SETTINGS)
    assert {config.network.degree for config in found} >= {1, 3}
    assert not any(config.fit.select for config in found)
    assert {len(config.network.hidden) for config in found} == {2}


def test_candidates_are_as_deep_as_what_was_given() -> None:
    """Else the folds, each judged by the settings that the others prefer, would not have the same layers."""
    data = dataset()
    deep = QUICK.model_copy(update={"network": QUICK.network.model_copy(update={"hidden": (9, 9, 9)})})
    found = candidates(deep, recipe(data, deep), data.train)
    assert {len(config.network.hidden) for config in found} == {3}
    assert len(found) == len(SETTINGS) + 1


def test_a_rare_label_makes_a_table_tell_less() -> None:
    rows = Rows(np.zeros((1000, 1), np.float32), np.repeat([0, 1], [990, 10]))
    assert telling_rows(rows, labels=True) == 100
    assert telling_rows(rows, labels=False) == 1000
    assert telling_rows(Rows(rows.x, np.arange(1000) % 2), labels=True) == 1000


def test_parts_are_five_folds_of_few_rows_and_one_of_many() -> None:
    data = dataset()
    columns = Columns.of(data.features, None)
    few = parts_of(data.train, columns, 1, labels=False)
    assert [(len(rows), len(judged)) for rows, _, judged in few] == [(96, 24)] * 5
    many = Rows(np.random.default_rng(0).normal(size=(2000, 3)).astype(np.float32), np.zeros(2000, np.float32))
    assert [(len(rows), len(judged)) for rows, _, judged in parts_of(many, columns, 1, labels=False)] == [(1600, 400)]


def test_what_is_tuned_is_the_best_of_what_was_tried() -> None:
    data = dataset(rows=60)
    columns = Columns.of(data.features, None)
    found = tuned(QUICK, lambda config: recipe(data, config), data.train, columns)
    parts = parts_of(data.train, columns, QUICK.seed, labels=False)
    every = list(tries(candidates(QUICK, recipe(data), data.train), lambda config: recipe(data, config), parts))
    assert found.config == choose(every).config


def test_wide_tables_are_tried_with_fewer_columns() -> None:
    data = dataset(rows=60, columns=30)
    found = candidates(QUICK, recipe(data), data.train)
    assert [config.fit.select for config in found] == [False, *[True] * len(SETTINGS)]


def test_every_fold_is_judged_by_a_model_that_has_not_seen_it() -> None:
    data = dataset()
    configs = candidates(QUICK, recipe(data), data.train)[:2]
    found = list(tries(configs, lambda config: recipe(data, config), parts(data)))
    assert [each.config for each in found] == configs
    for each in found:
        assert [len(fold) for fold in each.losses] == [60, 60]
        model, (_, _, judged) = each.models[0], parts(data)[0]
        scores = each.recipe and model.columns.standardise(judged.x)
        assert len(scores) == 60
        assert np.isfinite(each.losses[0]).all()


def test_a_candidate_that_diverges_is_left_out_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    data, fits = dataset(), Recipe.fit

    def fragile(self: Recipe, make: object, stage: str, *rest: object) -> object:
        if stage == broken:
            raise DivergenceError("the loss became nan")
        return fits(self, make, stage, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Recipe, "fit", fragile)
    configs = candidates(QUICK, recipe(data), data.train)[:2]
    broken = "try-1-fold-2"
    assert len(list(tries(configs, lambda config: recipe(data, config), parts(data)))) == 1
    broken = "fold-1"
    with pytest.raises(DivergenceError):
        list(tries(configs, lambda config: recipe(data, config), parts(data)))


def test_the_choice_is_by_the_folds_that_have_a_say() -> None:
    first, second = tried(1.0, 5.0), tried(2.0, 1.0)
    assert choose([first, second]) is second
    assert choose([first, second], left_out=1) is first
    assert choose([first, second], left_out=0) is second


def test_a_budget_that_is_spent_ends_the_tries() -> None:
    def endless() -> Iterator[Tried]:
        while True:
            yield tried(1.0)

    assert len(Budget(0.0).spend(endless())) == 1
    assert len(Budget(0.05).spend(endless())) >= 1
    assert len(Budget(1e9).spend(iter([tried(1.0)] * 3))) == 3
