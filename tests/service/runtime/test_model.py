"""A loaded model: its scores, covariances and derivatives are those of the closed form."""

import numpy as np
import onnx
import pytest

from chainzrule.service.artifact.card import Role
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model
from chainzrule.service.stability.measures import diagnose
from tests.artifacts import ALL, BINARY, CUBIC, REGRESSION, Toy, edited, probed


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
    for found_novelty in (outputs.novelty, model.answer(rows.astype(np.float32)).novelty):
        assert (found_novelty is not None) == toy.known
        if found_novelty is not None:
            np.testing.assert_allclose(found_novelty, toy.novelty(rows), rtol=1e-4)
    assert (outputs.deviations is not None) == (toy.known and toy.layout is None)
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


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
def test_scores_and_answers_are_those_of_the_closed_form_without_measures(toy: Toy) -> None:
    rows = toy.rows(5)
    model, features = opened(toy), rows.astype(np.float32)
    np.testing.assert_allclose(model.score(features), toy.scores(rows), atol=2e-5)
    found = model.answer(features)
    np.testing.assert_allclose(found.scores, toy.scores(rows), atol=2e-5)
    assert found.covariance is found.counted is None
    assert (found.probabilities is None) == (not toy.names)
    if found.probabilities is not None:
        np.testing.assert_allclose(found.probabilities, toy.probabilities(rows), atol=2e-5)


@pytest.mark.parametrize("toy", [CUBIC, BINARY, REGRESSION], ids=lambda toy: toy.name)
def test_a_graph_without_derivatives_is_probed(toy: Toy) -> None:
    rows = toy.rows(5)
    features, scales = rows.astype(np.float32), np.full(5, 0.5)
    model = opened(probed(toy, "finite_difference"))
    assert model.probe is not None
    outputs, found = model.diagnose(features, scales)
    assert outputs.counted is None
    np.testing.assert_allclose(outputs.scores, toy.scores(rows), atol=2e-5)
    assert outputs.covariance is not None
    np.testing.assert_allclose(outputs.covariance, toy.covariance(rows), rtol=2e-2, atol=1e-6)
    np.testing.assert_allclose(model.differentiate(features), toy.jacobian(rows), rtol=2e-2, atol=1e-3)
    expected = diagnose(model.link, toy.scores(rows), toy.covariance(rows), scales)
    np.testing.assert_allclose(found.volatility, expected.volatility, rtol=2e-2, atol=1e-6)
    assert (outputs.probabilities is None) == (not toy.names)


def test_what_draws_count_is_the_diagnosis() -> None:
    rows = CUBIC.rows(5).astype(np.float32)
    model = opened(probed(CUBIC, "monte_carlo"))
    outputs, found = model.diagnose(rows, np.ones(5))
    assert outputs.counted is found
    assert outputs.slope is not None
    assert outputs.slope.shape == (5, 2)


def test_layer_norms_come_from_a_graph_of_their_own_where_there_is_one() -> None:
    artifact = CUBIC.artifact()

    def doubled(model: onnx.ModelProto) -> None:
        made = next(node for node in model.graph.node if "layer_norms" in node.output)
        made.output[:] = ["once"]
        model.graph.node.append(onnx.helper.make_node("Add", ["once", "once"], ["layer_norms"]))

    graphs: dict[Role, bytes] = {**artifact.graphs, "layers": edited(artifact.graphs["jacobian"], doubled)}
    graphs["bounds"] = b"no graph, and not opened here"
    model = Model(artifact.card, graphs, Execution("cpu", threads=1))
    rows = CUBIC.rows(3).astype(np.float32)
    assert sorted(model.graphs) == ["jacobian", "layers", "model"]
    np.testing.assert_allclose(model.layer_norms(rows), 2 * opened(CUBIC).layer_norms(rows), rtol=1e-6)
