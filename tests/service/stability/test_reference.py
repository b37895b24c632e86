"""The reference of held-out rows, and where other rows lie among them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Distribution
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.measures import diagnose
from chainzrule.service.stability.reference import distribution, make_reference, percentiles, tail_ratio


def at(values: list[float], quantiles: list[float]) -> NDArray[np.float64]:
    known = Distribution(mean=float(np.mean(quantiles)), quantiles=tuple(quantiles))
    return percentiles(np.array(values), known)


def test_percentiles_lie_between_the_quantiles() -> None:
    found = at([0.0, 37.0, 37.25, 99.5, 100.0], [float(q) for q in range(101)])
    np.testing.assert_allclose(found, [0.0, 37.0, 37.25, 99.5, 100.0], atol=1e-12)


def test_percentiles_end_at_0_and_100() -> None:
    assert at([-1.0, 1e9], [float(q) for q in range(101)]).tolist() == [0.0, 100.0]


def test_equal_quantiles_give_their_middle() -> None:
    quantiles = [0.0] * 41 + [float(q) for q in range(1, 61)]
    assert at([0.0], quantiles).tolist() == [20.0]
    assert at([1.0, 1.5], quantiles).tolist() == [41.0, 41.5]
    quantiles = [float(q) for q in range(50)] + [50.0] * 51
    assert at([50.0], quantiles).tolist() == [75.0]


def test_above_equal_last_quantiles_is_100_and_below_equal_first_is_0() -> None:
    assert at([0.3 + 1e-3, 0.3 - 1e-3, 0.3], [0.3] * 101).tolist() == [100.0, 0.0, 50.0]
    assert at([50.01], [float(q) for q in range(50)] + [50.0] * 51).tolist() == [100.0]


def test_percentiles_rise_with_the_volatility() -> None:
    rng = np.random.default_rng(0)
    quantiles = np.sort(np.round(rng.gamma(1.0, size=101), 1)).tolist()
    found = at(np.linspace(-1, 10, 1000).tolist(), quantiles)
    assert (np.diff(found) >= 0).all()
    assert (found[0], found[-1]) == (0.0, 100.0)


def test_the_tail_ratio_is_the_99th_percentile_over_the_mean() -> None:
    norms = np.arange(1.0, 102.0)
    assert tail_ratio(norms) == pytest.approx(100.0 / 51.0)
    assert tail_ratio(np.ones(10)) == 1.0


def test_norms_of_zero_have_no_tail() -> None:
    assert tail_ratio(np.zeros(10)) == 1.0


def test_a_distribution_has_the_mean_and_every_percentile() -> None:
    values = np.random.default_rng(0).gamma(2.0, size=1000).astype(np.float32)
    found = distribution(values)
    assert found.mean == pytest.approx(values.mean())
    np.testing.assert_allclose(found.quantiles, np.percentile(values.astype(float), np.arange(101)))


@pytest.mark.parametrize("labels", [True, False])
def test_a_reference_is_that_of_its_rows_measures(labels: bool) -> None:
    random = np.random.default_rng(1)
    link = link_of("classification", 3) if labels else link_of("regression", 1)
    scores = random.normal(size=(200, 3 if labels else 1))
    factor = random.normal(size=(200, scores.shape[1], 2)) * 0.3
    diagnosis = diagnose(link, scores, factor @ factor.transpose(0, 2, 1), np.ones(200))
    norms = random.gamma(1.0, size=(200, 2))
    outside = random.uniform(size=200) < 0.25
    found = make_reference(link, diagnosis, outside, out_of_fold=True, layer_norms=norms)
    assert (found.rows, found.out_of_fold) == (200, True)
    assert found.volatility == distribution(diagnosis.volatility)
    assert found.gradient_norm == distribution(diagnosis.gradient_norm)
    assert found.flip_probability == (distribution(diagnosis.flip_probability) if labels else None)
    assert found.layer_norms == (distribution(norms[:, 0]), distribution(norms[:, 1]))
    assert found.gradient_tail_ratio == tail_ratio(diagnosis.gradient_norm)
    assert found.out_of_range_rate == outside.mean()
    assert make_reference(link, diagnosis, outside, out_of_fold=False).layer_norms is None
