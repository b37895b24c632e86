"""Many columns: what lies within the principal components and beside them, in numpy and in a graph."""

import numpy as np
import pytest

from chainzrule.training.novelty.subspace import COMPONENTS, Subspace
from tests.training.novelty.written import columns_of, computed

WIDTH = 150


def pictures(rows: int, seed: int = 0) -> np.ndarray:
    """Rows of 150 columns that mostly vary in eight directions."""
    random = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(8, WIDTH))
    return 100.0 + 20.0 * random.normal(size=(rows, 8)) @ directions + 5.0 * random.normal(size=(rows, WIDTH))


X = pictures(2000).astype(np.float32)
POOLED = Subspace.of(X, columns_of(X, pooled=True))
LIMIT = np.quantile(POOLED.statistics(pictures(1000, seed=1)), 0.99)


@pytest.mark.parametrize("pooled", [True, False])
def test_the_graph_computes_the_definition(pooled: bool) -> None:
    part = Subspace.of(X, columns_of(X, pooled=pooled))
    assert (part.scale is None) == pooled
    x = np.concatenate([pictures(20, seed=2), 0.01 * pictures(5, seed=3), 255.0 - pictures(5, seed=4)])
    (found,) = computed(lambda *given: [part.write(*given)], x, (1,))
    np.testing.assert_allclose(found, part.statistics(x.astype(np.float32)), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("value", [1e20, -3e38, 3e38])
def test_values_without_bounds_stay_numbers(value: float) -> None:
    (found,) = computed(lambda *given: [POOLED.write(*given)], np.full((1, WIDTH), value), (1,))
    assert np.isfinite(found).all()
    assert found[0, 0] > LIMIT


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(lambda x: np.broadcast_to(X.mean(axis=0), x.shape), id="the mean, with too little of all"),
        pytest.param(lambda x: x.mean(axis=0) + 0.05 * (x - x.mean(axis=0)), id="faint"),
        pytest.param(lambda x: x + 30.0 * np.random.default_rng(6).normal(size=x.shape), id="noisy"),
        pytest.param(lambda x: x[:, ::-1], id="in another order"),
    ],
)
def test_too_little_and_too_much_are_both_far_out(odd: object) -> None:
    assert callable(odd)
    assert (POOLED.statistics(odd(pictures(50, seed=5))) > LIMIT).mean() > 0.95


def test_usual_rows_are_not() -> None:
    assert (POOLED.statistics(pictures(2000, seed=7)) > LIMIT).mean() < 0.03


@pytest.mark.parametrize(
    ("rows", "width", "kept"), [(2000, 150, COMPONENTS), (2000, 20, 10), (40, 150, 10), (3, 150, 1)]
)
def test_there_are_fewer_components_where_columns_or_rows_are_few(rows: int, width: int, kept: int) -> None:
    x = pictures(rows)[:, :width].astype(np.float32)
    part = Subspace.of(x, columns_of(x))
    assert part.directions.shape == (width, kept)
    assert np.isfinite(part.statistics(x)).all()


def test_the_components_are_small_in_the_file() -> None:
    assert POOLED.directions.dtype == np.float16
