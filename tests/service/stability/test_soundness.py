"""Where the closed form holds: by the row's curvature, by the card's calibration, and by the law of the noise."""

from typing import Any

import numpy as np
import pytest

from chainzrule.service.artifact.evidence import Calibration, NoiseCalibration
from chainzrule.service.stability.noise import Noise
from chainzrule.service.stability.soundness import CURVED, Soundness, bent, is_true, trusted_scale

PLAIN = Noise(np.array([1.0, 1.0]))
ROWS = np.zeros((3, 2), np.float32)
ONES = np.ones(3)


def level(scale: float, **facts: Any) -> NoiseCalibration:
    usual = {"volatility_rows": 100, "volatility_ratio": (0.92, 1.0, 1.1), "brier_skill": 0.99, "uncertain_rows": 9}
    return NoiseCalibration(noise_scale=scale, **{**usual, **facts})


def calibration(*levels: NoiseCalibration) -> Calibration:
    return Calibration(rows=100, draws=200, seed=0, noise_scales=levels)


def test_the_closed_form_holds_where_nothing_speaks_against_it() -> None:
    sound = Soundness(PLAIN, calibration(level(1.0), level(2.0)))
    assert sound.unsound(ROWS, ONES, np.full(3, CURVED), ONES) == {}
    assert sound.unsound_row(ROWS[:1], 2.0, CURVED, 1.0) == ()
    assert Soundness(PLAIN, None).unsound(ROWS, 100 * ONES, 0 * ONES, ONES) == {}


def test_rows_that_bend_are_found() -> None:
    found = Soundness(PLAIN, None).unsound(ROWS, ONES, np.array([0.0, CURVED, CURVED + 1e-9]), ONES)
    assert {cause: rows.tolist() for cause, rows in found.items()} == {"curvature": [False, False, True]}
    assert Soundness(PLAIN, None).unsound_row(ROWS[:1], 1.0, CURVED + 1e-9, 1.0) == ("curvature",)


def test_leads_that_even_bent_noise_does_not_reach_are_left_alone() -> None:
    curvature, distance = np.array([0.12, 0.12, 0.12, 0.31]), np.array([6.0, 8.0, np.inf, 50.0])
    found = Soundness(PLAIN, None).unsound(np.zeros((4, 2), np.float32), np.ones(4), curvature, distance)
    assert found["curvature"].tolist() == [True, False, False, True]
    assert Soundness(PLAIN, None).unsound(ROWS[:1], ONES[:1], curvature[1:2], distance[1:2]) == {}
    z = bent(distance[:2], curvature[:2])
    np.testing.assert_allclose(z + curvature[:2] * z**2, distance[:2])


def test_noise_scales_that_the_card_does_not_bear_out_are_found() -> None:
    sound = Soundness(PLAIN, calibration(level(0.5), level(1.0), level(2.0, brier_skill=0.5)))
    found = sound.unsound(ROWS, np.array([0.9, 1.0, 1.1]), 0 * ONES, ONES)
    assert {cause: rows.tolist() for cause, rows in found.items()} == {"calibration": [False, False, True]}
    assert sound.unsound_row(ROWS[:1], 1.1, 0.0, 1.0) == ("calibration",)


def test_trust_ends_at_the_first_scale_that_fails() -> None:
    assert trusted_scale(calibration(level(0.5), level(1.0, brier_skill=0.2), level(2.0))) == 0.5
    assert trusted_scale(calibration(level(0.5, brier_skill=0.2))) == 0.0
    assert trusted_scale(calibration(level(2.0), level(0.5))) == 2.0


@pytest.mark.parametrize(
    ("facts", "true"),
    [
        ({}, True),
        ({"brier_skill": 0.94}, False),
        ({"brier_skill": 0.94, "uncertain_rows": 0}, True),
        ({"brier_skill": None, "uncertain_rows": None}, True),
        ({"volatility_ratio": (0.74, 1.0, 1.1)}, False),
        ({"volatility_ratio": (0.9, 0.94, 1.1)}, False),
        ({"volatility_ratio": (0.9, 1.06, 1.1)}, False),
        ({"volatility_ratio": (0.9, 1.0, 1.36)}, False),
        ({"volatility_ratio": (0.1, 0.5, 9.0), "volatility_rows": 19}, True),
        ({"volatility_ratio": None}, True),
    ],
)
def test_what_counts_as_true(facts: dict[str, Any], true: bool) -> None:
    assert is_true(level(1.0, **facts)) == true


def test_laws_that_the_closed_form_does_not_know_are_found() -> None:
    heavy = Noise(np.ones(2), law="t", degrees_of_freedom=3.0)
    assert Soundness(heavy, None).unsound(ROWS, ONES, 0 * ONES, ONES)["noise_law"].all()
    assert Soundness(heavy, None).unsound_row(ROWS[:1], 1.0, 0.0, 1.0) == ("noise_law",)
    assert Soundness(heavy, None, counted=True).unsound(ROWS, ONES, 9 * ONES, ONES) == {}


def test_near_a_bound_the_closed_form_does_not_hold() -> None:
    bounded = Noise(np.array([1.0, 0.0]), least=np.array([0.0, 0.0]), most=np.array([np.inf, 0.0]))
    rows = np.array([[3.9, 0.0], [4.1, 0.0], [100.0, 0.0]], np.float32)
    found = Soundness(bounded, None).unsound(rows, ONES, 0 * ONES, ONES)
    assert found["noise_law"].tolist() == [True, False, False]
    assert Soundness(bounded, None).unsound_row(rows[:1], 1.0, 0.0, 1.0) == ("noise_law",)
    assert Soundness(bounded, None).unsound_row(rows[1:2], 1.0, 0.0, 1.0) == ()
