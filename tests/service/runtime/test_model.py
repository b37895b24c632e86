"""A loaded model: its scores, covariances and derivatives are those of the closed form."""

import numpy as np
import pytest

from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model
from chainzrule.service.stability.measures import diagnose
from tests.artifacts import ALL, Toy


def opened(toy: Toy) -> Model:
    artifact = toy.artifact()
    return Model(artifact.card, artifact.graphs, Execution("cpu", threads=1))


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
def test_predictions_are_those_of_the_closed_form(toy: Toy) -> None:
    rows = toy.rows(20)
    model = opened(toy)
    outputs, found = model.diagnose(rows.astype(np.float32), np.ones(20))
    np.testing.assert_allclose(outputs.scores, toy.scores(rows), atol=2e-5)
    assert outputs.covariance is not None
    np.testing.assert_allclose(outputs.covariance, toy.covariance(rows), rtol=1e-4, atol=1e-7)
    expected = diagnose(model.link, toy.scores(rows), toy.covariance(rows), np.ones(20))
    np.testing.assert_array_equal(found.label, expected.label)
    np.testing.assert_allclose(found.volatility, expected.volatility, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
def test_derivatives_are_those_of_the_closed_form(toy: Toy) -> None:
    rows = toy.rows(20)
    model, features = opened(toy), rows.astype(np.float32)
    found = model.differentiate(features)
    np.testing.assert_allclose(found, toy.jacobian(rows), rtol=1e-4, atol=1e-6)
    noisy = toy.jacobian(rows) * toy.columns[2]
    np.testing.assert_allclose(model.layer_norms(features)[:, 0], np.linalg.norm(noisy, axis=(1, 2)), rtol=1e-4)
