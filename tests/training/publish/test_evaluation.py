import numpy as np
import pandas as pd

from chainzrule.training.columns import Columns
from chainzrule.training.config import make_config
from chainzrule.training.data.table import table_dataset
from chainzrule.training.fitting.recipe import Recipe
from chainzrule.training.publish.evaluation import Judging

TABLE = {"source": "table", "path": "none.csv", "target": "y"}


def judging(rows: int) -> Judging:
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 2))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x[:, 0] + random.normal(0, 0.1, rows)})
    dataset, _ = table_dataset(frame, "y")
    return Judging(dataset, Columns.of(dataset.features, None), seed=1)


def test_few_rows_are_judged_fold_by_fold_and_by_rows_that_know_nothing_of_them() -> None:
    few = judging(100)
    assert [len(rows) for rows in few.judged()] == [20] * 5
    others, columns = few.others(2)
    assert len(others) == 80
    assert not set(others.x[:, 0]) & set(few.judged()[2].x[:, 0])
    assert columns.high[0] == others.x[:, 0].max()


def test_many_rows_are_judged_by_the_test() -> None:
    many = judging(2500)
    assert many.folds == []
    assert [len(rows) for rows in many.judged()] == [500]
    assert len(many.others(0)[0]) == 2000
    assert len(many.y) == 500


def test_surprise_is_told_in_the_order_of_the_rows() -> None:
    few = judging(100)
    config = make_config({"name": "m", "data": TABLE, "network": {"hidden": [4]}, "fit": {"epochs": 2}}, "test")
    recipe = Recipe(config, few._dataset, few._columns)
    models = [recipe.fit(recipe.chainzrule, "fold", *few.others(number))[0] for number in range(5)]
    found = few.network(models)
    assert found.surprise is not None
    rows = few.rows
    np.testing.assert_array_equal(found.y, rows.y)
    for number, index in enumerate(few.folds):
        novelty = few.novelty(models[number], *few.others(number))
        assert novelty is not None
        np.testing.assert_allclose(found.surprise[index], novelty.score(rows.x[index]))


def test_rivals_answer_the_same_rows_in_their_order() -> None:
    few = judging(100)
    for rival, scores in few.rivals():
        error = scores[:, 0] - few.y.astype(np.float64)
        assert np.sqrt(np.mean(error**2)) == rival.quality["rmse"]
        assert rival.quality["r2"] > 0.8
