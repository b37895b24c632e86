"""Covariances can be inverted, and are those of the rows where these are many."""

import numpy as np

from chainzrule.training.novelty.covariance import SHRINKAGE, shrunk_covariance


def test_many_rows_say_it_all() -> None:
    random = np.random.default_rng(0)
    truth = np.array([[4.0, 1.0], [1.0, 1.0]])
    found = shrunk_covariance(random.multivariate_normal(np.zeros(2), truth, 200_000))
    np.testing.assert_allclose(found, truth, atol=0.05)


def test_few_rows_are_drawn_towards_equal_variances() -> None:
    rows = np.array([[3.0, 0.0, 0.0, 0.0]])
    share = SHRINKAGE * 4 / 5
    expected = np.diag([9.0 * (1 - share), 0.0, 0.0, 0.0]) + share * 9.0 / 4 * np.eye(4)
    np.testing.assert_allclose(shrunk_covariance(rows), expected)
    assert np.linalg.cond(shrunk_covariance(rows)) < 1e3


def test_rows_that_are_all_alike_can_be_inverted() -> None:
    assert np.isfinite(np.linalg.inv(shrunk_covariance(np.zeros((5, 3))))).all()
