import numpy as np
import pandas as pd

from chainzrule.training.columns import Columns
from chainzrule.training.data.table import table_dataset
from chainzrule.training.publish.evaluation import Judging


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


def test_rivals_answer_the_same_rows_in_their_order() -> None:
    few = judging(100)
    for rival, scores in few.rivals():
        error = scores[:, 0] - few.y.astype(np.float64)
        assert np.sqrt(np.mean(error**2)) == rival.quality["rmse"]
        assert rival.quality["r2"] > 0.8
