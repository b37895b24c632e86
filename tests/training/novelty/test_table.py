"""Tables: a Gaussian density on symmetric scales, in numpy and in a graph."""

import numpy as np
import pytest

from chainzrule.training.novelty.table import Table
from tests.training.novelty.written import columns_of, computed

RANDOM = np.random.default_rng(3)


def correlated(rows: int, seed: int = 0) -> np.ndarray:
    """Rows of five columns: the second nearly follows from the first, the third is skewed, the last is constant."""
    random = np.random.default_rng(seed)
    first = random.normal(10.0, 2.0, rows)
    second = 3.0 * first + random.normal(0.0, 0.3, rows)
    return np.stack(
        [first, second, np.exp(random.normal(0, 1, rows)), random.normal(0, 1e-4, rows), np.full(rows, 7.0)], axis=1
    )


X = correlated(500)
TABLE = Table.of(X, columns_of(X))


def test_the_graph_computes_the_definition() -> None:
    x = np.concatenate([correlated(20, seed=1), 10.0 * correlated(20, seed=2), -correlated(5, seed=3)])
    statistics, deviations = computed(TABLE.write, x, (2, 5))
    expected = TABLE.deviations(x.astype(np.float32))
    np.testing.assert_allclose(statistics, TABLE.statistics(x.astype(np.float32)), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(deviations, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("value", [1e20, -3e38, 3e38])
def test_values_without_bounds_stay_numbers(value: float) -> None:
    x = np.full((1, 5), value)
    statistics, deviations = computed(TABLE.write, x, (2, 5))
    assert np.isfinite(statistics).all()
    assert np.isfinite(deviations).all()
    assert (statistics > TABLE.statistics(X).max(axis=0)).all()


def test_a_combination_that_does_not_occur_is_far_out_though_each_value_is_usual() -> None:
    usual, odd = X[:1].copy(), X[:1].copy()
    odd[0, 0], odd[0, 1] = np.quantile(X[:, 0], 0.05), np.quantile(X[:, 1], 0.95)
    assert (TABLE.statistics(odd) > TABLE.statistics(X).max(axis=0)).all()
    sizes = np.abs(TABLE.deviations(odd)[0])
    assert set(np.argsort(-sizes)[:2].tolist()) == {0, 1}
    assert np.abs(TABLE.deviations(usual)).max() < 5


def test_deviations_are_in_standard_deviations() -> None:
    # Shrinkage makes those of two columns that nearly follow from each other a little smaller.
    fresh = correlated(20_000, seed=4)
    spread = TABLE.deviations(fresh).std(axis=0)
    assert spread[[0, 1, 2, 3]] == pytest.approx(np.ones(4), abs=0.2)
    assert spread[4] == 0.0


def test_a_skewed_column_is_put_on_a_symmetric_scale() -> None:
    steepness = TABLE.steepness * X.std(axis=0)
    assert steepness[2] > 0.3  # a logarithm begins within three standard deviations of the start
    assert steepness[0] == pytest.approx(1e-3, rel=1e-3)
    small, usual = X[:1].copy(), X[:1].copy()
    small[0, 2], usual[0, 2] = -2.0, 1.0
    assert abs(TABLE.deviations(small)[0, 2]) > 3 * abs(TABLE.deviations(usual)[0, 2])


def test_a_constant_column_says_nothing() -> None:
    odd = X[:1].copy()
    odd[0, 4] = 1e6
    np.testing.assert_array_equal(TABLE.statistics(odd), TABLE.statistics(X[:1]))


def test_levels_are_columns_but_for_the_first_and_rare_ones_alone_are_not_far_out() -> None:
    random = np.random.default_rng(5)
    level = np.eye(3)[np.where(np.arange(1000) < 5, 2, random.integers(0, 2, 1000))]
    x = np.concatenate([random.normal(size=(1000, 1)), level], axis=1)
    table = Table.of(x, columns_of(x, (slice(1, 4),)))
    assert (table.precision[1] == 0).all()
    assert (table.unit[1], table.unit[3] > 0) == (0.0, True)
    assert np.abs(table.deviations(x)[:5, 3]).max() < 4  # without a floor, the rare level is 14 sigmas out


def test_a_row_is_judged_by_what_is_stored() -> None:
    assert {part.dtype for part in vars(TABLE).values()} == {np.dtype(np.float32)}


def test_rows_that_are_all_alike_are_no_error() -> None:
    x = np.ones((6, 3))
    table = Table.of(x, columns_of(x))
    assert np.isfinite(table.statistics(RANDOM.normal(size=(4, 3)))).all()
