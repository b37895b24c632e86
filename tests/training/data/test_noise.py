"""A column's noise, and whether float32 can carry it."""

import numpy as np
import pytest

from chainzrule.service.artifact.features import CategoricalFeature, NumericFeature
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.noise import check_float32_spacing, default_noise, spacing_problem


def test_a_tenth_of_the_standard_deviation_of_what_is_measured() -> None:
    assert default_noise(5.0, 3) == 0.5
    assert default_noise(5.0, 2) == 0.0


def test_float32_spacing_is_checked_again_after_another_noise() -> None:
    fine = NumericFeature(name="seconds", mean=1e6, std=1e3, low=0, high=2e6, noise=100)
    check_float32_spacing([fine, CategoricalFeature(name="c", levels=("a", "b"))])
    check_float32_spacing([fine.model_copy(update={"noise": 0})])
    with pytest.raises(DataError, match=r"column 'seconds' reaches 2e\+06"):
        check_float32_spacing([fine.model_copy(update={"noise": 0.1})])
    with pytest.raises(DataError, match="column 'seconds'"):
        check_float32_spacing([fine.model_copy(update={"noise": 0, "std": 1.0})])


def test_all_columns_that_are_too_coarse_are_named_at_once() -> None:
    coarse = NumericFeature(name="a", mean=0, std=1, low=-2e9, high=1, noise=1)
    with pytest.raises(DataError) as caught:
        check_float32_spacing([coarse, coarse.model_copy(update={"name": "b", "low": 0, "high": 2e9})])
    assert [line.split(" reaches")[0] for line in str(caught.value).splitlines()] == ["column 'a'", "column 'b'"]


@pytest.mark.parametrize("magnitude", [0.0, 1.0, 1e6, 3e38])
def test_ten_steps_of_float32_are_fine_enough(magnitude: float) -> None:
    spacing = float(np.spacing(np.float32(magnitude)))
    assert spacing_problem(magnitude, 10.001 * spacing) is None
    assert "subtract an offset" in str(spacing_problem(magnitude, 9.99 * spacing))
