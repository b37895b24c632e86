"""Where one value lies among held-out rows: where a batch of values lies."""

import math

import numpy as np
import pytest

from chainzrule.service.artifact.evidence import Distribution
from chainzrule.service.stability.lone.reference import percentile, quantile
from chainzrule.service.stability.reference import percentiles


def known(quantiles: list[float]) -> Distribution:
    return Distribution(mean=1.0, quantiles=tuple(quantiles))


@pytest.mark.parametrize(
    "quantiles",
    [
        pytest.param(np.sort(np.random.default_rng(6).exponential(size=101)).tolist(), id="all different"),
        pytest.param(np.repeat([0.0, 1.0, 2.0], [40, 30, 31]).tolist(), id="three runs"),
        pytest.param([0.0] * 101, id="one run"),
    ],
)
def test_percentiles_are_the_same(quantiles: list[float]) -> None:
    values = np.random.default_rng(7).exponential(size=50).tolist()
    for value in [*values, *quantiles[:3], quantiles[50], quantiles[-1], -1.0, 0.0, 1e9, math.inf]:
        expected = percentiles(np.array([value]), known(quantiles))[0]
        assert percentile(value, known(quantiles)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("value", "expected"), [(-1.0, 0.0), (0.0, 0.0), (37.0, 37.0), (37.25, 37.25), (100.0, 100.0), (1e9, 100.0)]
)
def test_a_percentile_lies_between_the_quantiles(value: float, expected: float) -> None:
    assert percentile(value, known([float(q) for q in range(101)])) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.0, 20.0), (0.5, 40.5), (1.0, 41.0), (60.0, 100.0), (60.1, 100.0)])
def test_equal_quantiles_give_their_middle(value: float, expected: float) -> None:
    assert percentile(value, known([0.0] * 41 + [float(q) for q in range(1, 61)])) == expected


def test_above_equal_last_quantiles_is_100() -> None:
    last = known([float(q) for q in range(50)] + [50.0] * 51)
    assert (percentile(50.0, last), percentile(50.01, last)) == (75.0, 100.0)


@pytest.mark.parametrize(("percent", "expected"), [(0, 0.0), (37, 74.0), (98.5, 197.0), (99.75, 199.5), (100, 200.0)])
def test_a_quantile_lies_between_those_of_the_card(percent: float, expected: float) -> None:
    assert quantile(known([2.0 * q for q in range(101)]), percent) == expected
