import numpy as np

from chainzrule.training.fitting.folds import folds


def test_folds_share_out_the_rows_and_the_labels() -> None:
    y = np.array([0] * 80 + [1] * 20)
    found = folds(y, 5, seed=1, stratified=True)
    assert sorted(np.concatenate(found)) == list(range(100))
    assert [int(y[index].sum()) for index in found] == [4] * 5
    assert not np.array_equal(found[0], folds(y, 5, seed=2, stratified=True)[0])
    assert [len(index) for index in folds(y, 3, seed=1, stratified=False)] == [34, 33, 33]
