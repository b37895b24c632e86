"""Stability by further rows, against the toy's own derivatives."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.service.runtime.probe import Probe
from chainzrule.service.runtime.rows import RowEncoder
from tests.artifacts import CUBIC, MIXED, REGRESSION, Toy, probed

TOYS = [CUBIC, REGRESSION, MIXED]


def probe(toy: Toy) -> Probe:
    interface = toy.card()
    return Probe(
        interface, RowEncoder(interface), Graph(toy.graphs["model"], "model.onnx", Execution("cpu", threads=1))
    )


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.name)
def test_differences_are_the_derivatives(toy: Toy) -> None:
    found, rows = probe(probed(toy, "finite_difference")), toy.rows(5).astype(np.float32)
    numeric = np.isin(np.arange(toy.columns[2].size), RowEncoder(toy.card()).ranges.columns)
    expected = toy.jacobian(rows) * numeric  # a category has no derivative
    np.testing.assert_allclose(found.differentiate(rows), expected, rtol=5e-3, atol=5e-3 * np.abs(expected).max())
    measured = found.measure(
        rows, np.full(5, 3.0)
    )  # whatever the multiple of the noise: the covariance is at one sigma
    B = expected * toy.columns[2]
    np.testing.assert_allclose(measured.covariance, B @ B.transpose(0, 2, 1), rtol=1e-2, atol=1e-5)
    assert (measured.diagnosis, measured.slope) == (None, None)
    assert found.rows == 2 * numeric.sum()


def test_a_gap_that_the_model_takes_has_no_slope() -> None:
    features = tuple(feature.model_copy(update={"gaps": True}) for feature in CUBIC.features)
    found = probe(probed(replace(CUBIC, features=features), "finite_difference"))
    rows = CUBIC.rows(3).astype(np.float32)
    rows[1, 0] = np.nan
    jacobian = found.differentiate(rows)
    assert (jacobian[1, :, 0] == 0).all()
    assert np.isfinite(jacobian[[0, 2]]).all()
    assert (jacobian[[0, 2]] != 0).any()


def test_draws_are_counted_at_the_noise_that_is_asked_for() -> None:
    toy = probed(CUBIC, "monte_carlo", count=4000)
    found, rows = probe(toy), CUBIC.rows(3).astype(np.float32)
    assert found.rows == 4000
    small, large = (found.measure(rows, np.full(3, scale)) for scale in (0.5, 2.0))
    for measured in (small, large):
        assert measured.diagnosis is not None
        assert measured.slope is not None
        np.testing.assert_allclose(
            measured.covariance, CUBIC.covariance(rows), rtol=0.15, atol=0.05 * CUBIC.covariance(rows).max()
        )
    assert (large.diagnosis.volatility > 2.0 * small.diagnosis.volatility).all()
    np.testing.assert_array_equal(
        found.measure(rows, np.ones(3)).covariance, found.measure(rows, np.ones(3)).covariance
    )
    np.testing.assert_allclose(
        found.differentiate(rows), CUBIC.jacobian(rows), rtol=0.1, atol=0.1 * np.abs(CUBIC.jacobian(rows)).max()
    )


def test_what_overflows_is_not_finite_and_no_warning() -> None:
    rows = np.full((1, 2), 3e38, dtype=np.float32)
    assert not np.isfinite(probe(probed(CUBIC, "finite_difference")).measure(rows, np.ones(1)).covariance).all()


def test_a_model_with_derivatives_has_nothing_to_probe_with() -> None:
    with pytest.raises(ValueError, match="method analytic has nothing to probe with"):
        probe(CUBIC)
