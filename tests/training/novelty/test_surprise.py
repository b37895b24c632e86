"""Surprises: minus the logarithm of the share of rows that lie as far out, summed, in numpy and in a graph."""

import numpy as np
import pytest

from chainzrule.training.novelty.surprise import SHARES, Surprises
from tests.training.novelty.written import computed

EXPONENTIAL = np.random.default_rng(0).exponential(size=(100_000, 1))


@pytest.mark.parametrize("share", [*SHARES[1:], 0.3, 0.01, 1e-3, 1e-6])
def test_the_surprise_is_the_logarithm_of_the_share(share: float) -> None:
    # Of an exponential law's rows, the share beyond t is exp(-t), so that t is the surprise, in the tail as well.
    place = -np.log(share)
    assert Surprises.of(EXPONENTIAL).total(np.array([[place]]))[0] == pytest.approx(place, rel=0.05, abs=0.05)


def test_what_is_nearer_than_all_rows_is_no_surprise() -> None:
    assert Surprises.of(EXPONENTIAL).total(np.array([[-5.0]])) == pytest.approx([0.0], abs=1e-6)


def test_surprises_add_up_whatever_their_units_are() -> None:
    both = Surprises.of(np.concatenate([EXPONENTIAL, 1e4 * EXPONENTIAL[::-1] - 7.0], axis=1))
    one = Surprises.of(EXPONENTIAL)
    expected = one.total(np.array([[2.5]])) + one.total(np.array([[4.0]]))
    assert both.total(np.array([[2.5, 4e4 - 7.0]])) == pytest.approx(expected, rel=1e-3)


def test_the_graph_computes_the_definition() -> None:
    surprises = Surprises.of(np.random.default_rng(1).normal(size=(500, 3)))
    x = np.concatenate([np.random.default_rng(2).normal(size=(30, 3)), [[-9.0, 0.0, 88.0], [50.0, -50.0, 0.0]]])
    (found,) = computed(lambda *given: [surprises.write(*given)], x, (1,))
    np.testing.assert_allclose(found[:, 0], surprises.total(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("values", [np.zeros(50), np.repeat([0.0, 1.0], [40, 10]), np.array([3.0])])
def test_rows_that_are_alike_make_no_line_without_bounds(values: np.ndarray) -> None:
    surprises = Surprises.of(values[:, None])
    at, beyond = surprises.total(np.array([[values.max()], [values.max() + 1.0]]))
    assert np.isfinite(at)
    assert at < beyond < np.inf
