"""Measures as the service gives them, for the card's reference."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Calibration, NoiseCalibration
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.measures import Diagnosis, diagnose
from chainzrule.service.stability.noise import Noise
from chainzrule.training.measure import served
from chainzrule.training.measure.served import as_served

LINK = link_of("regression", 1)
X = np.linspace(-2, 2, 40, dtype=np.float32)[:, None]
NOISE = Noise(np.array([0.5]))


def cubic(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return x**3


def closed_form() -> Diagnosis:
    slope = 3.0 * X.astype(np.float64) ** 2 * 0.5
    return diagnose(LINK, cubic(X), slope[:, :, None] ** 2, np.ones(40))


def calibration(low: float) -> Calibration:
    level = NoiseCalibration(noise_scale=1.0, volatility_rows=40, volatility_ratio=(low, 1.0, 1.1))
    return Calibration(rows=40, draws=200, seed=0, noise_scales=(level,))


def measured(low: float) -> Diagnosis:
    return as_served(LINK, cubic, NOISE, calibration(low), X, cubic(X), closed_form())


def test_what_the_card_bears_out_stays_in_closed_form() -> None:
    np.testing.assert_array_equal(measured(0.9).volatility, closed_form().volatility)


def test_what_it_does_not_is_counted() -> None:
    found = measured(0.1)
    x = X[:, 0].astype(np.float64)
    # The variance of (x + e)^3, from the moments of e = 0.5 z.
    truth = np.sqrt(9 * x**4 * 0.25 + 36 * x**2 * 0.0625 + 15 * 0.015625)
    np.testing.assert_allclose(found.volatility, truth, rtol=0.3)
    assert abs(np.median(found.volatility / truth) - 1.0) < 0.03
    np.testing.assert_array_equal(found.gradient_norm, closed_form().gradient_norm)


def test_of_many_rows_some_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "MOST_ROWS", 4)
    changed = measured(0.1).volatility != closed_form().volatility
    assert np.flatnonzero(changed).tolist() == [0, 13, 26, 39]
