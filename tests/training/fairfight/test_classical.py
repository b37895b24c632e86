"""Linear models and boosted trees, as networks."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from chainzrule.training.fairfight import classical
from chainzrule.training.fairfight.settings import Settings
from tests.training.fairfight.problems import drawn


@pytest.mark.parametrize("strength", [1e-3, 0.1])
def test_a_linear_model_is_scikit_learns(strength: float) -> None:
    for task in ("classification", "regression"):
        problem = drawn(task)
        x, y = problem.train
        network, parameters = classical.fit("linear", Settings(0.0, 0.0, strength), problem, problem.train, 0)
        found = network(x)
        assert found.shape == (60, problem.scores)
        assert parameters == 5
        if task == "regression":
            expected = Ridge(alpha=strength * 60).fit(x.numpy(), y.numpy()).predict(x.numpy())
            np.testing.assert_allclose(found[:, 0].numpy(), expected, rtol=1e-4, atol=1e-5)
        else:
            model = LogisticRegression(C=1 / (strength * 60), max_iter=2000).fit(x.numpy(), y.numpy())
            np.testing.assert_allclose(found.softmax(1).numpy(), model.predict_proba(x.numpy()), rtol=1e-4, atol=1e-5)


def test_three_labels_have_a_score_each() -> None:
    problem = drawn("ordinal").unordered
    network, parameters = classical.fit("linear", Settings(0.0, 0.0, 0.01), problem, problem.train, 0)
    x, y = problem.train
    model = LogisticRegression(C=1 / 0.6, max_iter=2000).fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(network(x).softmax(1).numpy(), model.predict_proba(x.numpy()), rtol=1e-4, atol=1e-5)
    assert parameters == 3 * 5


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_trees_are_of_the_size_that_is_set_and_learn(task: str) -> None:
    problem = drawn(task, rows=2000)
    few, small = classical.fit("boosting", Settings(0.1, 0.0, 2), problem, problem.train, 0)
    many, large = classical.fit("boosting", Settings(0.1, 0.0, 31), problem, problem.train, 0)
    assert small % 4 == 0  # trees of two leaves: two numbers for the split, one for each leaf
    assert 0 < small < large
    x, y = problem.test
    for network in (few, many):
        found = network(x)
        assert (found.dtype, found.shape) == (torch.float32, (500, problem.scores))
        if task == "classification":
            assert float((found.argmax(1) == y).float().mean()) > 0.85
            torch.testing.assert_close(found.sum(1), torch.ones(500))
        else:
            assert float((found[:, 0] - y).square().mean()) < 0.3
