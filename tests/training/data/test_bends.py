import numpy as np
import pytest

from chainzrule.training.data.bends import Bends, bend_of, best_bend


def of(values: np.ndarray) -> float:
    """How skewed values are on the scale that is chosen for them."""
    bend = best_bend(values)
    bent = (np.arcsinh((values - bend.start) / bend.scale) - bend.mean) / bend.std
    assert abs(bent.mean()) < 1e-9
    assert bent.std() == pytest.approx(1.0)
    return abs(float(np.mean(bent**3)))


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_heavy_tails_become_nearly_normal_on_either_side(sigma: float) -> None:
    income = np.random.default_rng(0).lognormal(3.0, sigma, 2000)
    for values in (income, -income, 1000.0 + income):
        assert bend_of(values) is not None
        assert of(values) < 0.6


def test_tails_on_both_sides() -> None:
    assert bend_of(np.random.default_rng(1).standard_cauchy(2000)) is not None


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=2000),
        np.random.default_rng(0).uniform(size=2000),
        np.random.default_rng(0).exponential(size=2000),
        np.repeat([0.0, 1.0], [1990, 10]),
        np.arange(9).repeat([2000, 1, 1, 1, 1, 1, 1, 1, 1]).astype(float),
        np.full(100, 3.0),
    ],
    ids=["normal", "uniform", "exponential", "flag", "few values", "constant"],
)
def test_other_columns_stay_as_they_are(values: np.ndarray) -> None:
    assert bend_of(values) is None


def test_weights_count_in_the_moments() -> None:
    values = np.random.default_rng(0).lognormal(0, 2, 300)
    weights = np.random.default_rng(1).integers(1, 4, 300).astype(float)
    found, plain = bend_of(values, weights), bend_of(values)
    assert found is not None
    assert plain is not None
    assert (found.start, found.scale) == (plain.start, plain.scale)
    bent = np.arcsinh((values - found.start) / found.scale)
    assert found.mean == pytest.approx(np.average(bent, weights=weights))


def test_straight_columns_pass_unchanged_beside_bent_ones() -> None:
    bends = Bends(np.array([1.0, 0.0]), np.array([0.0, 5.0]), np.array([0.0, 0.5]), np.zeros(2), np.ones(2))
    x = np.array([[3.25, 9.0], [-1e30, 5.0]])
    assert bends.index.tolist() == [1]
    np.testing.assert_allclose(bends.values(x), [[3.25, np.arcsinh(2.0)], [-1e30, 0.0]])
