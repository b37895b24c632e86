import numpy as np
import pytest

from chainzrule.training.fitting.selection import select


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(300, 400))


@pytest.mark.parametrize("labels", [True, False])
def test_columns_with_an_effect_are_found_among_many_without(x: np.ndarray, labels: bool) -> None:
    effect = x[:, 3] - x[:, 200] + np.random.default_rng(1).normal(0, 0.5, 300)
    found = select(x, (effect > 0).astype(int) if labels else effect, labels)
    assert found[[3, 200]].all()
    assert found.sum() <= 5


def test_where_nothing_has_an_effect_the_likeliest_column_is_kept(x: np.ndarray) -> None:
    assert 1 <= select(x, np.random.default_rng(2).normal(size=300), labels=False).sum() <= 2


def test_a_constant_column_is_left_out(x: np.ndarray) -> None:
    constant = np.column_stack([np.ones(300), x[:, 0]])
    assert select(constant, x[:, 0], labels=False).tolist() == [False, True]
