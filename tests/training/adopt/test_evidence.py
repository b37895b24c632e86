"""What is measured of a model that has no card yet, where the truth is known in closed form."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from chainzrule.service.artifact.evidence import Adoption, Evidence, Provenance
from chainzrule.service.artifact.interface import Interface, Method
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model
from chainzrule.service.runtime.tensors import to_array
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.measures import diagnose
from chainzrule.service.stability.temperature import fit_temperature
from chainzrule.training.adopt.evidence import CALIBRATED_ROWS, CHUNK, GOLDEN_ROWS, gather_evidence
from tests.artifacts import CLASSIFIER, CUBIC, REGRESSION, SHA, Toy, probed

PROVENANCE = Provenance(config_sha256=SHA, data_sha256=SHA, seed=0, training_rows=1, parameters=1, versions={})
ADOPTION = Adoption(source_sha256=SHA, producer="somebody", source_difference=0.0, obtained={})


def opened(toy: Toy) -> Model:
    """A toy without its card."""
    card = toy.card()
    interface = Interface(**{name: getattr(card, name) for name in Interface.model_fields})
    assert type(interface) is Interface
    return Model(interface, toy.graphs, Execution("cpu", threads=1))


def rows(toy: Toy, count: int) -> np.ndarray:
    return toy.rows(count).astype(np.float32)


def evidence(toy: Toy, x: np.ndarray, y: np.ndarray, seed: int = 3) -> Evidence:
    return gather_evidence(opened(toy), x, y, seed, PROVENANCE, ADOPTION)


@pytest.mark.parametrize("method", get_args(Method))
def test_a_model_is_measured_by_its_own_method(method: Method) -> None:
    toy = CUBIC if method == "analytic" else probed(CUBIC, method, count=4096)
    x = rows(CUBIC, CHUNK + 1)  # the last by itself
    measures = diagnose(link_of("classification", 3), CUBIC.scores(x), CUBIC.covariance(x), np.ones(len(x)))
    reference = evidence(toy, x, np.zeros(len(x), np.int64)).reference
    # Draws see the curve of the cubic, and have noise of their own.
    tolerance = 0.05 if method == "monte_carlo" else 2e-3
    for name in ("volatility", "gradient_norm", "flip_probability"):
        values, distribution = getattr(measures, name), getattr(reference, name)
        assert distribution.mean == pytest.approx(values.mean(), rel=tolerance)
        np.testing.assert_allclose(distribution.quantiles[100], values.max(), rtol=tolerance)


def test_the_reference_is_of_the_samples_rows() -> None:
    x = rows(CLASSIFIER, 150)
    x[:3, 0] = 11.0  # out of range
    measures = diagnose(link_of("classification", 3), CLASSIFIER.scores(x), CLASSIFIER.covariance(x), np.ones(150))
    labels = CLASSIFIER.scores(x).argmax(axis=1)
    found = evidence(CLASSIFIER, x, labels)
    reference = found.reference
    assert (reference.rows, reference.out_of_fold) == (150, False)
    assert reference.out_of_range_rate == pytest.approx(3 / 150)
    for name in ("volatility", "gradient_norm", "flip_probability"):
        values, distribution = getattr(measures, name), getattr(reference, name)
        assert distribution.mean == pytest.approx(values.mean(), rel=1e-4)
        np.testing.assert_allclose(distribution.quantiles, np.percentile(values, range(101)), rtol=1e-3, atol=1e-7)
    tail = np.percentile(measures.gradient_norm, 99) / measures.gradient_norm.mean()
    assert reference.gradient_tail_ratio == pytest.approx(tail, rel=1e-4)
    assert found.quality["accuracy"] == 1.0
    assert found.conformity is not None
    assert (found.conformity.rows, found.conformity.out_of_fold) == (150, False)
    np.testing.assert_allclose(
        found.conformity.errors, np.sort(-np.log(CLASSIFIER.probabilities(x).max(axis=1))), rtol=1e-3
    )
    assert found.conformity.temperature is None  # no row was answered wrongly
    assert (found.provenance, found.adoption) == (PROVENANCE, ADOPTION)


def test_the_temperature_is_that_of_the_samples_answers() -> None:
    x = rows(CLASSIFIER, 100)
    scores = CLASSIFIER.scores(x)
    y = scores.argmax(axis=1)
    y[::5] = (y[::5] + 1) % 3
    found = evidence(CLASSIFIER, x, y).conformity
    assert found is not None
    assert found.temperature is not None
    assert found.temperature == pytest.approx(fit_temperature(link_of("classification", 3), scores, y), rel=1e-3)


def test_a_regression_has_no_flips_and_figures_of_its_own() -> None:
    x = rows(REGRESSION, 60)
    found = evidence(REGRESSION, x, REGRESSION.scores(x)[:, 0] + 2.0)
    assert found.reference.flip_probability is None
    assert found.quality["mae"] == pytest.approx(2.0, rel=1e-5)
    assert found.calibration is not None
    assert all(level.flip_rate is None for level in found.calibration.noise_scales)
    assert found.conformity is not None
    assert found.conformity.scale == pytest.approx(2.0, rel=1e-5)
    np.testing.assert_allclose(found.conformity.errors, 1.0, rtol=1e-4)


def test_intervals_hang_on_volatility_unless_that_takes_further_runs() -> None:
    toy = replace(REGRESSION, cubic=0.3)
    x = rows(toy, 400)
    y = toy.scores(x)[:, 0] + 2.0 * np.sqrt(toy.covariance(x)[:, 0, 0])
    found, drawn = (evidence(one, x, y).conformity for one in (toy, probed(toy, "finite_difference")))
    assert found is not None
    assert drawn is not None
    assert found.per_volatility == pytest.approx(1.8, abs=0.2)  # nine tenths of it at most
    assert drawn.per_volatility == 0.0


def test_a_model_without_noise_has_a_tail_ratio_of_one() -> None:
    features = tuple(feature.model_copy(update={"noise": 0.0}) for feature in CLASSIFIER.features)
    toy = replace(CLASSIFIER, features=features)
    found = evidence(toy, rows(toy, 20), np.zeros(20, np.int64))
    assert found.reference.gradient_tail_ratio == 1.0
    assert found.reference.volatility.mean == 0.0


def test_calibration_is_of_so_many_rows_and_other_draws_than_the_models() -> None:
    x = rows(CLASSIFIER, CALIBRATED_ROWS + 50)
    found = evidence(CLASSIFIER, x, np.zeros(len(x), np.int64), seed=3).calibration
    assert found is not None
    assert (found.rows, found.seed) == (CALIBRATED_ROWS, 4)
    assert [level.noise_scale for level in found.noise_scales] == [0.5, 1.0, 2.0, 5.0, 10.0]
    for level in found.noise_scales[:2]:
        assert level.volatility_ratio is not None
        assert level.volatility_ratio[1] == pytest.approx(1.0, abs=0.05)
        assert level.calibration_error is not None
        assert level.calibration_error < 0.02


def test_golden_rows_lie_inside_the_ranges_and_hold_the_models_answers() -> None:
    narrow = tuple(feature.model_copy(update={"low": -0.9, "high": 1.1}) for feature in CLASSIFIER.features)
    toy = replace(CLASSIFIER, features=narrow)
    x, y = rows(toy, 10), np.zeros(10, np.int64)
    golden = evidence(toy, x, y, seed=5).golden
    features = to_array(golden.features)
    assert features.shape == (GOLDEN_ROWS, 2)
    assert (features >= np.float32(-0.9)).all()
    assert (features <= np.float32(1.1)).all()
    assert len(np.unique(features)) > 2  # not all at the edges
    for name, expected in (("scores", toy.scores), ("covariance", toy.covariance), ("jacobian", toy.jacobian)):
        np.testing.assert_allclose(to_array(getattr(golden, name)), expected(features), rtol=1e-4, atol=1e-5)
    assert golden == evidence(toy, x, y, seed=5).golden
    assert golden.features != evidence(toy, x, y, seed=6).golden.features
