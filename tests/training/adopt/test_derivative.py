"""The two graphs of a differentiated model: what they hold, beside `test_rules.py`, which holds their numbers."""

import numpy as np
import pytest

from chainzrule.training.adopt.derivative import derivative_graphs
from chainzrule.training.adopt.graph import opened, serialise
from chainzrule.training.errors import AdoptionError
from tests.training.adopt.graphs import model

W = np.array([[1.0, -1.0], [0.5, 0.25], [0.0, 2.0]], np.float32)
X = np.array([[0.5, -1.0, 2.0], [0.0, 0.25, -3.0]], np.float32)
BODY = "scores = MatMul (features, W) probabilities = Softmax (scores)"


def test_the_model_keeps_its_outputs_and_gains_the_covariance() -> None:
    graph = model(BODY, outputs="float[batch,2] scores, float[batch,2] probabilities", constants={"W": W})
    before, noise = serialise(graph), np.array([0.5, 0.0, 2.0])
    served, jacobian = derivative_graphs(graph, noise, list(graph.graph.output))
    assert serialise(graph) == before
    found = opened(served).run(X)
    assert list(found) == ["scores", "probabilities", "covariance"]
    noisy = W.T * noise
    np.testing.assert_allclose(found["covariance"], np.tile(noisy @ noisy.T, (2, 1, 1)), rtol=1e-6)
    np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1, rtol=1e-6)
    found = opened(jacobian).run(X)
    assert list(found) == ["jacobian", "layer_norms"]
    np.testing.assert_array_equal(found["jacobian"], np.tile(W.T, (2, 1, 1)))
    np.testing.assert_allclose(found["layer_norms"], np.full((2, 1), np.linalg.norm(noisy)), rtol=1e-6)


def test_an_operator_without_a_rule_is_named() -> None:
    graph = model("s = Sin (features) scores = MatMul (s, W)", constants={"W": W})
    with pytest.raises(AdoptionError, match="operator Sin has no derivative here"):
        derivative_graphs(graph, np.ones(3), list(graph.graph.output))
