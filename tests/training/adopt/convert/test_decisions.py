"""Decision values in place of probabilities."""

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.svm import SVC, LinearSVC

from chainzrule.training.adopt.convert.decisions import decision_values
from chainzrule.training.errors import AdoptionError

X = np.random.default_rng(0).normal(size=(90, 2))
THREE = np.where(X[:, 0] > 0.4, "up", np.where(X[:, 1] > 0, "left", "right"))


@pytest.mark.parametrize(("model", "y", "columns"), [
    (LinearSVC(), X[:, 0] > 0, 1), (LinearSVC(), THREE, 3), (SVC(), THREE, 3), (SVC(), X[:, 0] > 0, 1),
], ids=["two labels", "three labels", "kernel", "kernel of two"])  # fmt: skip
def test_the_label_is_that_of_the_largest_value(model: Any, y: Any, columns: int) -> None:
    found, labels = decision_values(model.fit(X, y), X)
    np.testing.assert_array_equal(found, model.decision_function(X).reshape(90, columns))
    assert labels == (("false", "true") if columns == 1 else ("left", "right", "up"))


def test_values_of_pairs_of_labels_are_refused() -> None:
    model = SVC(decision_function_shape="ovo").fit(X, THREE)
    with pytest.raises(AdoptionError, match=r"does not choose the label of the largest decision value, .*='ovr'"):
        decision_values(model, X)


def test_a_model_without_decision_values_is_refused() -> None:
    with pytest.raises(AdoptionError, match=r"the model \(KMeans\) has neither predict_proba nor decision_function"):
        decision_values(KMeans(2), X)
