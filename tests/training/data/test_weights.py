import numpy as np
import pytest

from chainzrule.training.data.weights import median, merge, moments

VALUES = np.random.default_rng(0).normal(3.0, 2.0, (40, 3))
WEIGHTS = np.random.default_rng(1).integers(1, 5, 40).astype(float)
REPEATED = VALUES.repeat(WEIGHTS.astype(int), axis=0)


@pytest.mark.parametrize("axis", [0, None])
def test_moments_count_a_row_by_its_weight(axis: int | None) -> None:
    for found, expected in zip(moments(VALUES, WEIGHTS, axis), moments(REPEATED, None, axis), strict=True):
        np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(moments(VALUES, None)[1], VALUES.std(axis=0))


def test_the_median_counts_a_row_by_its_weight() -> None:
    column, repeated = VALUES[:, 0], REPEATED[:, 0]
    assert median(column, WEIGHTS) == median(repeated, np.ones(len(repeated)))
    assert median(column[:21], None) == median(column[:21], np.ones(21)) == np.median(column[:21])


def test_repeated_rows_and_weighted_ones_are_merged_alike_whatever_their_order() -> None:
    gaps = np.where(VALUES > 5, np.nan, VALUES)
    repeated = gaps.repeat(WEIGHTS.astype(int), axis=0)
    order = np.random.default_rng(2).permutation(len(repeated))
    first, weights = merge(gaps, WEIGHTS)
    others, counts = merge(repeated[order], np.ones(len(repeated)))
    np.testing.assert_array_equal(gaps[first], repeated[order][others])
    np.testing.assert_array_equal(weights, counts)
    assert len(first) == 40


def test_zero_has_no_sign() -> None:
    first, weights = merge(np.array([[0.0], [-0.0], [1.0]]), np.array([1.0, 2.0, 4.0]))
    assert sorted(zip(np.array([0.0, 0.0, 1.0])[first], weights, strict=True)) == [(0.0, 3.0), (1.0, 4.0)]
